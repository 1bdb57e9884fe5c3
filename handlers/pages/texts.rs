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
    /// What a person reads about the own calendar.
    pub my_calendar: MyCalendar,
}

/// The texts in English.
pub const ENGLISH_TEXTS: Texts =
    Texts { lang: "en", layout: LAYOUT, problems: PROBLEMS, my_calendar: MY_CALENDAR };

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

texts! {
    /// What a person reads about the own calendar.
    MyCalendar MY_CALENDAR {
        title: "Your calendar and Roombridge",
        what_it_is: "When you invite a meeting room in Outlook, Roombridge can book that room for you in the system that your organisation books rooms with. For that it has to look at the appointments in your calendar.",
        what_here: "Here you decide whether it may, see everything that is stored about you, and can have it deleted. Nobody decides on this page for you.",
        switched_on: "What your organisation has switched on",
        on_opt_in: "Roombridge follows your calendar only if you agree to it here.",
        on_organisation: "Your organisation has agreed for everybody: Roombridge follows your calendar unless you withdraw here. You need to do nothing else, and give no reason.",
        on_delegates: "Somebody whom you have made a delegate of your calendar may agree for you. You are told by mail when that happens, and can withdraw here.",
        subject_dropped: "The subject of an appointment is never read.",
        subject_kept: "The subject of an appointment with a managed room is read and put into the booking. That of a private appointment never is.",
        subject_replaced: "The subject of an appointment is never read. A fixed text stands in its place.",
        people_count: "Of the people invited only their number goes into the booking.",
        people_organizer: "The number of people invited and your own address go into the booking.",
        people_addresses: "The addresses of the people invited go into the booking.",
        private_without_subject: "A private appointment is booked without its subject.",
        private_anonymous: "A private appointment is booked without its subject and without any address.",
        suspended: "Roombridge has lost its access to your organisation. Nothing is read for now. You can still see what is stored, withdraw, and have it deleted.",
        leaving: "Your organisation is being disconnected. Everything that is stored about you is being deleted, except the record of what was decided.",
        status: "How it stands",
        is_none: "Your calendar is not followed.",
        is_active: "Your calendar is followed.",
        is_paused: "You agreed, but your organisation's settings keep your calendar out for now. It is not followed.",
        is_withdrawn: "You have withdrawn. Your calendar is not followed.",
        is_erased: "You have withdrawn, and what was stored about you is being deleted. A mark of it stays for about a day, so that nothing that is still on its way comes back.",
        by_own: "You agreed yourself on {at}, to the text of {version}.",
        by_delegate: "{who} agreed for you on {at}, as a delegate of your calendar, to the text of {version}. If that is not right, withdraw.",
        by_organisation: "Your organisation agreed for you on {at}.",
        out_of_scope: "Your organisation uses Roombridge for some people only, and you are not among them. You cannot agree here.",
        excluded: "Your administrator has excluded your mailbox. It is never followed, and you cannot agree here.",
        room: "This is the mailbox of a room. An administrator decides about rooms.",
        unknown: "Whether you are among the people for whom your organisation uses Roombridge cannot be found out for now. Try again in some minutes.",
        agree_title: "Let Roombridge follow your calendar",
        agreement: "I agree that Roombridge looks at the appointments in my default calendar: when and where they are, who is invited, and whether they are private. It keeps only appointments with a room that my organisation manages, until they are over, and books that room. Never read are the text, attachments, links to online meetings, and who accepted. It writes its own mark on those appointments, and a room may answer my invitation. I can withdraw at any time on this page.",
        agree_box: "I have read this and agree",
        agree_button: "Agree",
        agree_missing: "Tick the box if you agree.",
        version_is: "Version of this text: {version}",
        withdraw_title: "Withdraw",
        withdraw_about: "Your calendar is not followed any more, from now on. You can agree again at any time.",
        bookings: "What becomes of rooms that are booked for your future appointments?",
        bookings_anonymous: "They stay booked without your name and your subject, as long as the room's own calendar holds the appointment",
        bookings_released: "They are released",
        bookings_missing: "Choose what becomes of your bookings.",
        withdraw_button: "Withdraw",
        erase_title: "Have everything deleted",
        erase_about: "As withdrawing; besides, everything that is stored about you is deleted, and our mark is removed from your appointments. Only the record of who decided what when stays, because it proves that this was done.",
        erase_box: "I want everything that is stored about me to be deleted. It cannot be undone.",
        erase_missing: "Tick the box to confirm.",
        erase_button: "Delete everything about me",
        delegate_title: "Agree for somebody whose delegate you are",
        delegate_about: "This works only if the owner has made you a delegate of the calendar in Outlook. The owner is told by mail, sees it on this page, and can withdraw.",
        delegate_owner: "Address of the owner",
        delegate_box: "I have read the text above and agree for the owner",
        delegate_text: "The text that you agree to for the owner:",
        delegate_button: "Agree for the owner",
        owner_missing: "Give the address of the owner.",
        stored_title: "What is stored about you",
        stored_none: "There is no record of your calendar.",
        stored_state: "State of the record",
        stored_consent: "Consent",
        stored_subscription: "Subscription at Microsoft",
        stored_subscription_is: "ends {ends}, is renewed {renewal}",
        stored_looked: "Looked at regularly since",
        stored_secret: "A secret number that proves notifications from Microsoft",
        stored_yes: "is there; it is not shown",
        stored_no: "is not there",
        appointments_none: "No appointment of yours is stored.",
        appointments: "Your appointments with a managed room ({count})",
        column_ends: "Ends",
        column_room: "Room",
        column_when: "When",
        column_people: "People",
        column_content: "Subject and addresses",
        column_told: "What Outlook shows",
        content_none: "none kept",
        decisions: "What was decided",
        decisions_none: "Nothing was decided yet.",
        column_at: "At",
        column_by: "By",
        column_what: "What",
        column_details: "Details",
        by_you: "you",
        by_us: "Roombridge",
        for_other: "for another calendar",
        failures: "Work that failed",
        failures_none: "Nothing failed.",
        column_function: "Where",
        column_cause: "Why",
        column_tries: "Tries",
        not_stored: "What is not stored",
        download: "Download everything as a file (JSON)",
        did_agree: "You agreed. Your calendar is followed within some minutes.",
        did_agree_before: "You had agreed already. If anything was missing, it is being done now.",
        did_withdraw: "You have withdrawn. Your calendar is not followed any more.",
        did_erase: "What was stored about you is being deleted. This takes some minutes; load the page again to see it.",
        did_leave_before: "That was decided before. If anything was left to do, it is being done now.",
        did_nothing: "There was nothing to do: your calendar is not followed, and nothing is stored.",
        did_delegate: "You agreed for the owner, who was told by mail.",
        did_delegate_before: "That calendar is followed already. Nothing was changed.",
        not_in_suspension: "Nothing was changed: Roombridge has lost its access to your organisation. Ask an administrator.",
        not_while_leaving: "Nothing was changed: your organisation is being disconnected.",
        not_in_scope: "Nothing was changed: the calendar is not among those that your organisation lets Roombridge follow.",
        not_excluded: "Nothing was changed: an administrator has excluded that mailbox.",
        not_room: "Nothing was changed: an administrator decides about the mailbox of a room.",
        not_old_text: "Nothing was changed: the text has changed meanwhile. Read it again below.",
        not_delegates: "Nothing was changed: your organisation does not let delegates agree for owners.",
        not_owner: "Nothing was changed: your organisation's directory knows nobody with that address.",
        not_own: "Nothing was changed: that is your own calendar. Agree for it above.",
        not_delegate: "Nothing was changed: the owner has not made you a delegate of the calendar. Sharing it with you is not enough.",
        not_proved: "Nothing was changed: who the delegates of that calendar are cannot be read, so nothing is proved.",
        not_told: "Nothing was changed: the owner cannot be told by mail, and no calendar is followed without its owner knowing.",
        not_back: "Nothing was changed: the owner has withdrawn before. Only the owner can agree again.",
        mail_subject: "Somebody agreed for you that Roombridge follows your calendar",
        mail_text: "Hello,\n\n{delegate} is a delegate of your calendar and has agreed for you that Roombridge follows it, so that rooms which you invite are booked.\n\nIf that is right, you need to do nothing. If not, or if you want to see what is stored about you, open this page, sign in, and withdraw:\n\n{address}\n\nYour delegate cannot agree again after you have withdrawn.\n",
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
