//! Every word that people read, in one place: another language is another value of [`Texts`].
//!
//! Texts are plain: templates escape them and bring all markup. `{name}` in a text is filled in by
//! [`fill`]. Whoever changes what people agree to raises the version of that text.

/// Declares a section and its English at once: each field's text is its documentation.
macro_rules! texts {
    ($(#[$about:meta])* $name:ident $english:ident { $($field:ident: $text:literal,)* }) => {
        $(#[$about])*
        pub struct $name {
            $(#[doc = $text] pub $field: &'static str,)*
        }

        const $english: $name = $name { $($field: $text,)* };
    };
}

/// The same for problems: what it is called, what happened, what to do next.
macro_rules! told {
    ($(#[$about:meta])* $name:ident $english:ident {
        $($field:ident: $title:literal, $happened:literal, $next:literal;)*
    }) => {
        $(#[$about])*
        pub struct $name {
            $(#[doc = $happened] pub $field: Told,)*
        }

        const $english: $name = $name {
            $($field: Told { title: $title, happened: $happened, next: $next },)*
        };
    };
}

/// One problem in words.
pub struct Told {
    /// What it is called: the page's title.
    pub title: &'static str,
    /// What happened.
    pub happened: &'static str,
    /// What to do next.
    pub next: &'static str,
}

/// All texts in one language.
pub struct Texts {
    /// The language, as HTML's `lang` wants it.
    pub lang: &'static str,
    /// Around every page.
    pub layout: Layout,
    /// What stands in the way.
    pub problems: Problems,
}

/// The texts in English.
pub const ENGLISH_TEXTS: Texts = Texts { lang: "en", layout: LAYOUT, problems: PROBLEMS };

/// The texts in English, once.
pub static ENGLISH: Texts = ENGLISH_TEXTS;

/// `text` with `{name}` replaced by its value, for each of `values`.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

texts! {
    /// Around every page.
    Layout LAYOUT {
        product: "Roombridge",
        skip: "Skip to the content",
        navigation: "Pages",
        signed_in_as: "Signed in as",
        sign_in: "Sign in with your work account",
        sign_out: "Sign out",
        first_page: "To the first page",
        what_now: "What to do now",
        code_was: "Microsoft gave this reason:",
        errors: "Some of it cannot be saved yet",
        too_long: "This is too long: at most {max} characters.",
        hostile: "This holds characters that cannot be typed. Type it anew.",
        footer: "Roombridge turns calendar appointments into room bookings, and forgets them when they are over.",
    }
}

told! {
    /// What stands in the way.
    Problems PROBLEMS {
        not_signed_in: "You are not signed in",
            "This page is for people who are signed in. You were not yet, or your session of one hour is over.",
            "Sign in, then open the page again.";
        session_over: "Your session is over",
            "A session lasts one hour. It ended before you sent this form, so nothing was changed.",
            "Go back in your browser to copy what you typed, sign in, and fill in the form again.";
        not_administrator: "You cannot decide for your organisation",
            "You are signed in, but not as a Global Administrator or Privileged Role Administrator. Nothing was changed.",
            "Ask somebody who holds one of these roles to open this page, or activate the role for yourself and sign in again.";
        not_invited: "Your organisation is not invited",
            "Roombridge is offered to invited organisations only, and yours is not among them. Nothing was stored about it.",
            "If you expected an invitation, give your tenant id to whoever runs Roombridge. If you have accounts in several organisations, sign in with the other one.";
        not_connected: "Your organisation is not connected",
            "Your organisation does not use Roombridge, or does not any more.",
            "An administrator of your organisation can connect it.";
        cross_site: "Another site sent this",
            "The form came from a page that is not part of Roombridge. Nothing was changed.",
            "If you did not expect this, close the page that you came from. If you came from Roombridge itself, your browser may be too old to say so: update it.";
        old_form: "This form is of an earlier session",
            "The form does not belong to the session that you are signed in with now. Nothing was changed.",
            "Go back in your browser to copy what you typed, open the page again, and fill it in there.";
        bad_form: "This form cannot be read",
            "What was sent is not a form of this page. Nothing was changed.",
            "Open the page again and fill in the form there.";
        too_large: "This form is too large",
            "A form may hold 64 KiB. Nothing was changed.",
            "Go back in your browser and shorten it.";
        not_found: "There is no such page",
            "The address leads nowhere: it may be mistyped, or of an earlier version.",
            "Begin at the first page.";
        wrong_method: "This page cannot be used like this",
            "The address exists, but takes another kind of request.",
            "Begin at the first page.";
        changed: "Somebody else was faster",
            "The same was changed at the same moment by somebody else. Nothing of yours was saved.",
            "Open the page again, look at how it stands now, and repeat your change if it is still needed.";
        keys_unavailable: "Roombridge cannot check who you are for now",
            "The keys that protect your session cannot be reached. Nothing was changed.",
            "Try again in half a minute.";
        storage_unavailable: "Roombridge cannot reach its storage for now",
            "What you asked for may not have been done.",
            "Try again in half a minute: repeating it is safe.";
        microsoft_unavailable: "Microsoft does not answer for now",
            "Microsoft Entra or Microsoft Graph asks us to come back later. What you asked for may not have been done.",
            "Try again in half a minute: repeating it is safe.";
        microsoft_refuses: "Microsoft refuses us",
            "Your organisation gives us no access, or not enough for this. A grant may take some minutes to work everywhere.",
            "Try again in some minutes. If it stays so, an administrator can connect the organisation again from the first page.";
        sign_in_refused: "You were not signed in",
            "You or Microsoft stopped the sign-in. Nothing was changed.",
            "Sign in again. If Microsoft says that your organisation must allow it first, ask your administrator.";
        sign_in_foreign: "This sign-in was not begun here",
            "The answer from Microsoft belongs to no sign-in of this browser, or was used before. Nobody was signed in.",
            "Sign in again, and use one tab only.";
        sign_in_expired: "The sign-in took too long",
            "More than ten minutes passed. Nobody was signed in.",
            "Sign in again.";
        sign_in_unproved: "We cannot tell who you are",
            "What Microsoft sent does not prove who signed in. Nobody was signed in.",
            "Sign in again with an account of your organisation. If it happens again, tell whoever runs Roombridge.";
        consent_refused: "Your organisation was not connected",
            "You or Microsoft refused the permissions. Nothing was changed.",
            "Read what is asked for on the first page, and begin again there if you want to connect.";
        consent_foreign: "This consent was not begun here",
            "The answer from Microsoft belongs to no request of this browser and account, or was used before. Nothing was changed.",
            "Begin again at the first page, and use one tab only.";
        consent_used: "This consent was used before",
            "Each answer from Microsoft is taken once. Nothing was changed.",
            "Look at the first page: your organisation is probably connected already.";
        consent_expired: "The consent took too long",
            "More than ten minutes passed since you left for Microsoft. Nothing was changed here.",
            "Begin again at the first page.";
        consent_other_tenant: "Another organisation consented",
            "You signed in here for one organisation, and the permissions were granted for another one, or for none that was named. Nothing was changed here.",
            "Begin again at the first page and choose the same account at Microsoft. In the other organisation, remove the app again under Enterprise applications.";
        internal: "Something is wrong on our side",
            "The page could not be made. Somebody who runs Roombridge can see why.",
            "Try again later.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_filled_in() {
        let text = fill("{a} of {b}, {a}", &[("a", "1"), ("b", "<2>")]);
        assert_eq!(text, "1 of <2>, 1");
    }
}
