//! Every word that people read, in one place: another language is another value of [`Texts`].
//!
//! Texts are plain: templates escape them and bring all markup. `{name}` in a text is filled in by
//! [`fill`]. If you change what people agree to, raise the version of that text.

/// Declares all sections and their English at once: each field's text is its documentation.
macro_rules! texts {
    ($($(#[$about:meta])* $section:ident: $name:ident { $($field:ident: $text:literal,)* })*) => {
        /// All texts in one language.
        pub(crate) struct Texts {
            /// The language, as HTML's `lang` wants it.
            pub(crate) lang: &'static str,
            pub(crate) errors: ErrorTexts,
            $($(#[$about])* pub(crate) $section: $name,)*
        }

        $(
            $(#[$about])*
            pub(crate) struct $name {
                $(#[doc = $text] pub(crate) $field: &'static str,)*
            }
        )*

        /// The texts in English.
        pub(crate) static ENGLISH: Texts = Texts {
            lang: "en",
            errors: ERRORS,
            $($section: $name { $($field: $text,)* },)*
        };
    };
}

/// The same for errors: a title, what happened, what to do next.
macro_rules! error_texts {
    ($(#[$about:meta])* $name:ident $english:ident {
        $($field:ident: $title:literal, $happened:literal, $next:literal;)*
    }) => {
        $(#[$about])*
        pub(crate) struct $name {
            $(#[doc = $happened] pub(crate) $field: ErrorMessage,)*
        }

        const $english: $name = $name {
            $($field: ErrorMessage { title: $title, happened: $happened, next: $next },)*
        };
    };
}

/// One error in words.
pub(crate) struct ErrorMessage {
    pub(crate) title: &'static str,
    pub(crate) happened: &'static str,
    pub(crate) next: &'static str,
}

/// `text` with `{name}` replaced by its value, for each of `values`.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

error_texts! {
    /// Why a request is not done.
    ErrorTexts ERRORS {
        not_signed_in: "You are not signed in",
            "This page is for people who are signed in. You have not signed in yet, or your session of one hour has ended.",
            "Sign in, then open the page again.";
        session_expired: "Your session is over",
            "A session lasts one hour. It ended before you sent this form, so nothing was changed.",
            "Go back in your browser to copy what you typed, sign in, and fill in the form again.";
        not_administrator: "You cannot decide for your organisation",
            "You are signed in, but not as a Global Administrator or Privileged Role Administrator. Nothing was changed.",
            "Ask somebody who holds one of these roles to open this page, or activate the role for yourself and sign in again.";
        not_invited: "Your organisation is not invited",
            "Roombridge is offered to invited organisations only, and yours is not one of them. Nothing was stored about it.",
            "If you expected an invitation, give your tenant id to the people who run Roombridge. If you have accounts in several organisations, sign in with the other one.";
        not_connected: "Your organisation is not connected",
            "Your organisation does not use Roombridge, or has stopped using it.",
            "An administrator of your organisation can connect it.";
        cross_site: "Another site sent this",
            "The form came from a page that is not part of Roombridge. Nothing was changed.",
            "If you did not expect this, close the page that you came from. If you came from Roombridge itself, your browser may be too old: update it.";
        csrf_mismatch: "This form is from an earlier session",
            "The form does not belong to your current session. Nothing was changed.",
            "Go back in your browser to copy what you typed, open the page again, and fill it in there.";
        malformed_form: "This form cannot be read",
            "What was sent is not a form of this page. Nothing was changed.",
            "Open the page again and fill in the form there.";
        too_large: "This form is too large",
            "A form may be at most 64 KiB. Nothing was changed.",
            "Go back in your browser and shorten it.";
        not_found: "There is no such page",
            "There is nothing at this address. It may be mistyped or outdated.",
            "Start at the first page.";
        method_not_allowed: "This page cannot be used like this",
            "The address exists, but accepts another kind of request.",
            "Start at the first page.";
        conflict: "Somebody else changed this",
            "Somebody else changed this at the same moment. Your change was not saved.",
            "Open the page again, check what it says now, and repeat your change if it is still needed.";
        too_often: "That was too often",
            "You asked more often in a short time than anybody needs to. Nothing was changed.",
            "Wait a minute, then open the page again.";
        keys_unavailable: "Roombridge cannot check who you are at the moment",
            "The keys that protect your session cannot be reached. Nothing was changed.",
            "Try again in half a minute.";
        vault_unavailable: "The vault does not answer",
            "Roombridge could not reach the vault that keeps the accounts at booking systems. Your request may not have been completed.",
            "Open the page Booking system, check what it says about the account, and repeat what is missing. If it happens again, tell the people who run Roombridge.";
        storage_unavailable: "Roombridge cannot reach its storage at the moment",
            "Your request may not have been completed.",
            "Try again in half a minute. Repeating the request is safe.";
        microsoft_unavailable: "Microsoft does not answer at the moment",
            "Microsoft Entra or Microsoft Graph asks us to try again later. Your request may not have been completed.",
            "Try again in half a minute. Repeating the request is safe.";
        microsoft_denied: "Microsoft denies us access",
            "Your organisation gives us no access, or not enough for this. A grant may take a few minutes to work everywhere.",
            "Try again in a few minutes. If it does not help, an administrator can connect the organisation again on the first page.";
        sign_in_refused: "You were not signed in",
            "You or Microsoft cancelled the sign-in. Nothing was changed.",
            "Sign in again. If Microsoft says that your organisation must allow it first, ask your administrator.";
        sign_in_state_mismatch: "This sign-in was not started here",
            "The answer from Microsoft does not belong to a sign-in of this browser, or was used before. Nobody was signed in.",
            "Sign in again, and use one tab only.";
        sign_in_expired: "The sign-in took too long",
            "It took more than ten minutes. Nobody was signed in.",
            "Sign in again.";
        sign_in_unverified: "We cannot tell who you are",
            "What Microsoft sent does not prove who signed in. Nobody was signed in.",
            "Sign in again with an account of your organisation. If it happens again, tell the people who run Roombridge.";
        consent_refused: "Your organisation was not connected",
            "You or Microsoft refused the permissions. Nothing was changed.",
            "Read on the first page what Roombridge asks for, and start again there if you want to connect.";
        consent_state_mismatch: "This consent was not started here",
            "The answer from Microsoft does not belong to a request of this browser and account, or was used before. Nothing was changed.",
            "Start again at the first page, and use one tab only.";
        consent_replayed: "This consent was used before",
            "Each answer from Microsoft is accepted once. Nothing was changed.",
            "Check the first page: your organisation is probably connected already.";
        consent_expired: "The consent took too long",
            "You went to Microsoft more than ten minutes ago. Nothing was changed here.",
            "Start again at the first page.";
        consent_other_tenant: "Another organisation consented",
            "You signed in here for one organisation, and the permissions were granted for another one, or for none. Nothing was changed here.",
            "Start again at the first page and choose the same account at Microsoft. In the other organisation, remove the app again under Enterprise applications.";
        internal: "Something is wrong on our side",
            "The page could not be created. The people who run Roombridge can see why.",
            "Try again later.";
    }
}

texts! {
    /// Around every page.
    layout: LayoutTexts {
        product: "Roombridge",
        skip: "Skip to the content",
        navigation: "Pages",
        signed_in_as: "Signed in as",
        sign_in: "Sign in with your work account",
        sign_out: "Sign out",
        first_page: "Go to the first page",
        what_now: "What you can do",
        code_was: "Microsoft gave this reason:",
        errors: "Please correct these fields",
        as_json: "Download as JSON",
        since: "Since",
        too_long: "This is too long: at most {max} characters.",
        invalid_chars: "This contains characters that cannot be typed. Type it again.",
        footer: "Roombridge turns calendar appointments into room bookings, and deletes them when they are over.",
    }

    /// What a person reads about their own calendar.
    my_calendar: MyCalendarTexts {
        title: "Your calendar and Roombridge",
        what_it_is: "When you invite a meeting room in Outlook, Roombridge can book that room for you in your organisation's booking system. To do that, it reads the appointments in your calendar.",
        what_here: "On this page you decide whether it may do so. You can see everything that is stored about you, and have it deleted. Nobody else can decide for you on this page.",
        switched_on: "What your organisation has switched on",
        on_opt_in: "Roombridge follows your calendar only if you agree here.",
        on_organisation: "Your organisation has agreed for everybody: Roombridge follows your calendar unless you withdraw here. You do not have to do anything else or give a reason.",
        on_delegates: "A delegate of your calendar may agree for you. You are notified by mail when that happens, and can withdraw here.",
        subject_dropped: "The subject of an appointment is never read.",
        subject_kept: "The subject of an appointment with a managed room is read and put into the booking. The subject of a private appointment is never read.",
        subject_replaced: "The subject of an appointment is never read. A fixed text replaces it.",
        people_count: "Only the number of people invited is kept in the booking.",
        people_organizer: "The number of people invited and your own address go into the booking.",
        people_addresses: "The addresses of the people invited go into the booking.",
        private_without_subject: "A private appointment is booked without its subject.",
        private_anonymous: "A private appointment is booked without its subject and without any addresses.",
        suspended: "Roombridge has lost its access to your organisation. It reads nothing at the moment. You can still see what is stored, withdraw, and have it deleted.",
        leaving: "Your organisation is being disconnected. Everything that is stored about you is being deleted, except the record of who decided what.",
        status: "Status",
        is_none: "Your calendar is not followed.",
        is_active: "Your calendar is followed.",
        is_paused: "You agreed, but your organisation's settings currently exclude your calendar. It is not followed.",
        is_withdrawn: "You have withdrawn. Your calendar is not followed.",
        is_erased: "You have withdrawn, and everything that was stored about you is being deleted. A marker stays for about a day, so that delayed messages do not bring anything back.",
        by_own: "You agreed yourself on {at}, to version {version} of the text.",
        by_delegate: "{who} agreed for you on {at}, as a delegate of your calendar, to version {version} of the text. If that is not right, withdraw.",
        by_organisation: "Your organisation agreed for you on {at}.",
        out_of_scope: "Your organisation uses Roombridge for some people only, and you are not among them. You cannot agree here.",
        excluded: "Your administrator has excluded your mailbox. Roombridge never follows it, and you cannot agree here.",
        room: "This is the mailbox of a room. An administrator decides about rooms.",
        unknown: "Roombridge cannot find out at the moment whether your organisation uses it for you. Try again in a few minutes.",
        agree_title: "Let Roombridge follow your calendar",
        agreement: "I agree that Roombridge looks at the appointments in my default calendar: when and where they are, who is invited, whether they are private, and whether their time is shown as free. It keeps only appointments with a room that my organisation manages, until they are over, and books that room. Never read are the text, attachments, links to online meetings, and who accepted. It writes its own mark on those appointments, and a room may answer my invitation. I can withdraw at any time on this page.",
        agree_box: "I have read this and agree",
        agree_button: "Agree",
        agree_missing: "Tick the box if you agree.",
        version_is: "Version of this text: {version}",
        withdraw_title: "Withdraw",
        withdraw_about: "Roombridge stops following your calendar immediately. You can agree again at any time.",
        bookings: "What should happen to the rooms that are booked for your future appointments?",
        bookings_anonymous: "Keep them booked without your name and subject, as long as the appointment is in the room's own calendar",
        bookings_released: "Release them",
        bookings_missing: "Choose what should happen to your bookings.",
        erase_title: "Have everything deleted",
        erase_about: "You withdraw, everything that is stored about you is deleted, and Roombridge removes its mark from your appointments. If your organisation keeps addresses in bookings, your address stays in the bookings of people who invited you until these bookings are over. Apart from that, only the record of who decided what and when is kept, because it proves that the deletion was done.",
        erase_box: "I want everything that is stored about me to be deleted. This cannot be undone.",
        erase_missing: "Tick the box to confirm.",
        erase_button: "Delete everything about me",
        delegate_title: "Agree on behalf of somebody who made you a delegate",
        delegate_about: "This works only if the owner has made you a delegate of the calendar in Outlook. The owner is notified by mail, sees it on this page, and can withdraw.",
        delegate_owner: "Address of the owner",
        delegate_box: "I have read the text above and agree for the owner",
        delegate_text: "The text that you agree to for the owner:",
        delegate_button: "Agree for the owner",
        owner_missing: "Enter the address of the owner.",
        stored_title: "What is stored about you",
        stored_none: "Nothing is stored about your calendar.",
        stored_state: "State",
        stored_consent: "Consent",
        stored_subscription: "Subscription at Microsoft",
        stored_subscription_is: "ends {ends}, will be renewed {renewal}",
        stored_polled_since: "Polled since",
        stored_last_notification: "Last notification from Microsoft, to the hour",
        stored_drift: "Last comparison: appointments not booked, not in Outlook, different",
        stored_secret: "A secret number that proves notifications from Microsoft",
        stored_yes: "exists; it is not shown",
        stored_no: "does not exist",
        appointments_none: "No appointment of yours is stored.",
        appointments: "Your appointments with a managed room ({count})",
        series: "A series. Dates booked: {booked}",
        series_partly: "A series. Dates booked: {booked}, not booked: {refused}",
        series_ends: "The last of these dates ends on {ends}.",
        column_date: "Date of the series",
        column_ends: "Ends",
        column_room: "Room",
        column_when: "When",
        column_people: "People",
        column_content: "Subject and addresses",
        column_published: "What Outlook shows",
        content_none: "none stored",
        outcome_booked: "booked",
        outcome_taken: "not booked: another meeting has the room",
        outcome_too_long: "not booked: longer than 90 days",
        outcome_series: "not booked: too many dates of the series are taken, so the room declined the whole series",
        outcome_rejected: "not booked: a rule of the booking system is against it",
        outcome_released: "released",
        decisions: "Decisions",
        decisions_none: "There are no decisions yet.",
        column_at: "At",
        column_by: "By",
        column_what: "What",
        column_details: "Details",
        by_you: "you",
        for_other: "for another calendar",
        failures: "Failures",
        failures_none: "There are no failures.",
        column_function: "Where",
        column_cause: "Why",
        column_attempts: "Attempts",
        not_stored: "What is not stored",
        not_stored_lines: "the text of your appointments, or anything attached to them\nlinks to online meetings\nwho accepted or declined\nappointments without a room that your organisation manages\nyour name\nyour address, unless your organisation keeps addresses in bookings\nyour password, or anything that lets Roombridge sign in as you",
        download: "Download everything as a file (JSON)",
        did_agree: "You agreed. Your calendar is followed within a few minutes.",
        did_agree_before: "You had agreed already. Anything that was missing is being done now.",
        did_withdraw: "You have withdrawn. Your calendar is not followed any more.",
        did_erase: "Everything that was stored about you is being deleted. This takes a few minutes; reload the page to see the result.",
        did_withdraw_before: "That was decided before. Anything that was left to do is being done now.",
        did_nothing: "There was nothing to do: your calendar is not followed, and nothing is stored.",
        did_delegate: "You agreed for the owner, who was notified by mail.",
        did_delegate_before: "That calendar is followed already. Nothing was changed.",
        denied_suspended: "Nothing was changed: Roombridge has lost its access to your organisation. Ask an administrator.",
        denied_leaving: "Nothing was changed: your organisation is being disconnected.",
        denied_out_of_scope: "Nothing was changed: your organisation does not use Roombridge for that calendar.",
        denied_excluded: "Nothing was changed: an administrator has excluded that mailbox.",
        denied_room: "Nothing was changed: that mailbox belongs to a room, and an administrator decides about rooms.",
        denied_text_changed: "Nothing was changed: the text has changed in the meantime. Please read it again below.",
        denied_delegates_off: "Nothing was changed: your organisation does not allow delegates to agree for owners.",
        denied_owner_unknown: "Nothing was changed: nobody in your organisation's directory has that address.",
        denied_own_calendar: "Nothing was changed: that is your own calendar. Agree for it above.",
        denied_no_delegation: "Nothing was changed: the owner has not made you a delegate of the calendar. Sharing it with you is not enough.",
        denied_delegation_unreadable: "Nothing was changed: Roombridge cannot read who the delegates of that calendar are, so it cannot check that you are one.",
        denied_owner_not_notified: "Nothing was changed: the owner cannot be notified by mail, and no calendar is followed without its owner knowing.",
        denied_owner_withdrew: "Nothing was changed: the owner has withdrawn before. Only the owner can agree again.",
        mail_subject: "Somebody agreed for you that Roombridge follows your calendar",
        mail_text: "Hello,\n\n{delegate} is a delegate of your calendar and has agreed for you that Roombridge follows it, so that the rooms you invite are booked.\n\nIf that is right, you do not have to do anything. If it is not, or if you want to see what is stored about you, open this page, sign in, and withdraw:\n\n{address}\n\nYour delegate cannot agree again after you have withdrawn.\n",
    }

    /// `consent`: what is asked for, and how to connect.
    start: StartTexts {
        title: "Connect your organisation",
        what: "Roombridge reads the appointments in the calendars that you and your people allow it to read, and books the meeting rooms in them. When an appointment is over, everything that was stored about it is deleted.",
        how: "Microsoft 365 tells Roombridge that somebody created, moved or cancelled an appointment. Roombridge reads when it takes place and which rooms are invited, books those rooms, answers the organizer for the room, and notes the outcome on the appointment.",
        who_may: "Only a Global Administrator or a Privileged Role Administrator can connect the organisation. Signing in does not grant anything yet.",
        was_connected: "Your organisation was disconnected. You can connect it again; earlier consents do not come back.",
        two_ways: "Two ways to give access to calendars",
        two_ways_why: "You choose which calendars Roombridge could read. Both ways need the same few permissions for the directory; they differ in the calendars.",
        organisation_wide: "Organisation-wide",
        organisation_wide_reads: "Microsoft technically lets Roombridge read and change every calendar of every mailbox in your organisation, including those of the board, of human resources, of the works council, and of people who never agreed. Only Roombridge itself makes sure that it follows just the people who agreed.",
        organisation_wide_means: "Requested if you choose organisation-wide. All permissions in this list are granted in one step.",
        organisation_wide_choice: "You do not have to set up anything in Exchange. Works within minutes.",
        scoped: "Scoped",
        scoped_reads: "Microsoft technically lets Roombridge read and change only the calendars of the mailboxes that you put into a scope in Exchange Online. Microsoft itself refuses access to any other calendar.",
        scoped_means: "Requested if you choose scoped. The consent contains no permission for calendars: you grant it in Exchange Online, with commands that we show you ready to copy.",
        scoped_choice: "Takes an Exchange administrator a few minutes, and Exchange up to two hours until it works everywhere. Recommended.",
        sign_in_app: "Signing in",
        sign_in_app_means: "The app that you and your people sign in with. None of its permissions work without somebody signed in, so people who sign in never see the grants above.",
        choose: "Which way?",
        rehearsal: "Look first, book later",
        rehearsal_hint: "Roombridge follows and compares calendars, and the page Health shows what it would book. It books nothing and writes nothing to Outlook until you end the rehearsal on the page Policy.",
        connect: "Continue",
        permissions: "What we ask for, why, and what it could reach",
        permissions_about: "This is the list that the program itself uses.",
        permission: "Permission",
        needed_for: "What we need it for",
        reaches: "What it can technically reach",
        never: "What we never request, although we could",
        in_exchange: "You grant this in Exchange Online; it is never part of the consent",
        fields: "What we read of an appointment",
        fields_about: "We read these fields of an appointment in a followed calendar, and no others:",
        subject_about: "Only if you decide to keep subjects, and then only for appointments that are not private and have a room that Roombridge manages:",
        forbidden_about: "The program cannot request these fields:",
        honest: "To be honest: if we follow a person's calendar, we read the fields above of every appointment in it, also of those without a room. We store nothing about those. If we follow only rooms, we read only what concerns the rooms.",
    }

    /// `consent`: to Microsoft's consent page and back.
    connect: ConnectTexts {
        title: "Grant the permissions at Microsoft",
        leave: "The next page is Microsoft's. It lists the permissions and asks you to accept them for your whole organisation.",
        same_account: "Choose the account that you are signed in with here. You have ten minutes.",
        go: "Continue to Microsoft",
        back: "Go back without granting anything",
        not_yet_title: "Microsoft has not finished yet",
        not_yet: "You granted the permissions, but they do not work yet. That can take a minute. Nothing has been stored so far.",
        again: "Try again",
        not_yet_ten: "If it still does not work ten minutes after you went to Microsoft, start again.",
    }

    /// `consent`: the state of a connected organisation.
    dashboard: DashboardTexts {
        title: "Overview",
        active: "Your organisation is connected.",
        suspended: "Your organisation is suspended",
        token_refused: "Microsoft no longer gives us access: somebody removed or disabled our app in your organisation. Work has stopped; nothing was deleted. If that was a mistake, connect again. If not, disconnect, so that everything stored is deleted.",
        call_refused: "Microsoft refuses our requests: somebody removed the permissions. Work has stopped; nothing was deleted. If that was a mistake, connect again. If not, disconnect, so that everything stored is deleted.",
        calendars_missing: "The permissions for calendars were removed. Work has stopped; nothing was deleted. Connect again to grant them, or choose the scoped way below.",
        reconnect: "Connect again",
        connection: "Connection",
        registration: "Mode",
        consent: "People agree",
        connected_at: "Connected",
        connected_by: "By the administrator with object id",
        text_version: "Version of the text",
        checked_at: "Access last checked",
        calendars: "Calendars",
        people: "People's calendars, followed",
        rooms: "Rooms' calendars, followed",
        switch: "Change the mode",
        switch_about: "The other mode asks for its own consent, and all subscriptions are created again. Afterwards remove the grants of the old mode under Enterprise applications, because grants add up.",
        switch_to: "Change to:",
    }

    /// `consent`: how well calendars are followed.
    health: HealthTexts {
        title: "Health",
        about: "Roombridge compares each followed calendar with its bookings: after it was subscribed, after any gap, and at regular intervals. So it also finds changes for which it got no notification.",
        rehearsal: "Rehearsal: nothing is booked",
        would_book_rooms: "{count} appointments would be booked, counted in the rooms' calendars.",
        would_book_people: "{count} appointments would be booked, counted in the calendars of their organizers.",
        rehearsal_about: "This is the result of the last comparison of each calendar. A series counts once, until it is booked. Compare now to see the current numbers. When you end the rehearsal under Policy, Roombridge books what is in the calendars.",
        quota: "Microsoft refuses more subscriptions",
        quota_about: "Your organisation or these mailboxes have as many subscriptions as Microsoft allows. Microsoft does not notify us of changes in these calendars; we see them when we compare the calendars. We keep trying. Other apps may have subscriptions to the same mailboxes: remove the ones you do not need, or exclude mailboxes that book no rooms under Policy.",
        unfinished: "Some calendars were not compared to their end",
        unfinished_about: "Roombridge reads at most 20,000 appointments of a calendar, and Microsoft's list of these calendars is longer or repeats itself. What was read is compared; no room is released because an appointment was not found. Compare now: if a list only repeated itself, its calendar is no longer listed below. If it is, delete appointments from it, or exclude it under Policy.",
        followed: "How calendars are followed",
        mode: "Mode",
        people: "People",
        rooms: "Rooms",
        basic: "Subscribed",
        rich: "Subscribed, with fields in the notification",
        polled: "Polled: Microsoft refused a subscription",
        over_quota: "Not subscribed: Microsoft allows no more",
        waiting: "Waiting for a subscription",
        paused: "Paused by your policy",
        withdrawn: "Withdrawn, being deleted",
        drift: "What the last comparison found",
        drift_about: "Roombridge corrects every difference immediately: the numbers show changes that no notification reported, and the next comparison should find none of them. The same appointment counts once in its organizer's calendar and once in each room's.",
        drift_rehearsal: "In a rehearsal nothing is corrected: the numbers show what would be done. The same appointment counts once in its organizer's calendar and once in each room's.",
        found: "Found",
        missing: "In Outlook, but not booked",
        left_over: "Booked, but not in Outlook",
        different: "Booking and Outlook differ",
        missing_rehearsal: "In Outlook, would be booked",
        left_over_rehearsal: "Booked before and not in Outlook, would be released",
        different_rehearsal: "Booked before, would be changed",
        compared: "Calendars compared",
        not_compared: "Not compared yet under the current subscription",
        between: "Last compared:",
        compare: "Compare now",
        compare_about: "Compares every followed calendar, about five per second, to respect Microsoft's limits. Reload this page to see the numbers change.",
        comparing: "Every calendar is being compared.",
        notable: "Calendars that need attention",
        none_notable: "None: no calendar differs from its bookings, and Microsoft refuses no subscription.",
        notable_total: "Total:",
        mailbox: "Room, or object id",
        short_missing: "not booked:",
        short_left_over: "not in Outlook:",
        short_different: "different:",
        short_unfinished: "not compared to its end since",
        before: "Previous",
        after: "Next",
        as_csv: "Download all calendars for a spreadsheet (CSV)",
    }

    /// `consent`: what was asked.
    audit: AuditTexts {
        title: "Audit",
        about: "Every request that Roombridge made for your organisation: which, when, which fields it named, and how it ended, but never what the answer contained. All numbers are counted from these rows.",
        from: "First day",
        to: "Last day",
        days_hint: "UTC dates, like 2026-11-24; at most 31 days at a time.",
        show: "Show these days",
        as_csv: "Download these requests for a spreadsheet (CSV)",
        truncated: "There are more requests than this page can count at once: the last day shown is not complete, and days may be missing. Choose fewer days, or download: the download is always complete.",
        no_calls: "No requests.",
        calls: "Requests",
        reads: "Requests that read a calendar or an appointment",
        answered: "Of these, answered by Microsoft",
        forbidden: "Forbidden fields requested from Microsoft",
        blocked: "Requests that we stopped before they were sent",
        call: "Request",
        fields: "Fields named",
        not_said: "What this cannot say",
        not_said_about: "Requests are recorded when the work that made them ends, so those of the last few minutes may be missing here. If a process is killed before that, or storage is unavailable for so long that too many requests wait, their rows are missing for good; they are in our own log. Signing in does not request your organisation's data and is not listed.",
        compare: "To check the list: Microsoft's own audit log of your organisation (MicrosoftGraphActivityLogs) contains the same requests, with the same client-request-id as the column correlation.",
        bad_day: "This is not a date. Write it like 2026-11-24.",
        backwards: "The last day is before the first one.",
        too_many_days: "These are too many days: at most 31 at a time.",
    }

    /// `consent`: what the tenant decides.
    policy: PolicyTexts {
        title: "Policy",
        about: "The register keeps each change with its old and new value.",
        saved: "Saved. Calendars are being brought in line.",
        conflict: "Somebody else has changed the policy in the meantime",
        conflict_about: "Your input is below and was not saved. If you save now, you replace the following:",
        now: "it is now",
        yours: "and would become",
        consent: "How people agree",
        opt_in: "Each person must agree",
        opt_in_hint: "No calendar is followed before its owner ticks the box on their own page.",
        organisation: "The organisation agrees for everybody in scope",
        organisation_hint: "Everybody in the scope group is followed. People see this on their own page and can withdraw.",
        whose: "Whose calendars",
        scope_group: "Scope group",
        scope_group_hint: "The object id of a group. Only its members can be followed. Leave it empty for everybody.",
        excluded: "Excluded mailboxes",
        excluded_hint: "Never followed, whatever the other settings say. One object id or address per line, at most 400. Addresses are stored as object ids.",
        rooms_subscribed: "Follow the calendars of managed rooms",
        rooms_subscribed_hint: "If on, rooms are booked for everybody, without the names of people who have not agreed. If off, rooms are booked only for people who agreed.",
        delegates: "A delegate may agree for the owner of a calendar",
        delegates_hint: "The owner is notified by mail and can withdraw.",
        following: "How calendars are followed",
        rehearsal: "Rehearsal: read and count, book nothing",
        rehearsal_hint: "Roombridge follows and compares calendars, and the page Health shows what it would book. Within a minute of saving, it books no more appointments; it only finishes what is half done by then. Existing bookings stay as they are until they are over, even if the appointment is moved or cancelled in the meantime. Withdrawing and deleting work as usual. When you end the rehearsal, Roombridge books what is in the calendars.",
        rich: "Notifications contain the fields of the appointment",
        rich_hint: "Otherwise they only say that an appointment changed, and we ask Microsoft for its fields. These are the same fields, never the subject. Microsoft encrypts them for us: only the private key in our vault decrypts them, and we hold it in memory only. Encrypted fields wait in a queue for at most six hours. Each subscription lives for less than a day and is renewed before it ends.",
        rich_needs: "Microsoft signs such notifications as our app in your directory. That app (the one you consented to, under Enterprise applications) must not require assignment: AppRoleAssignmentRequired must be False. Otherwise we cannot verify the notifications and reject them.",
        subject: "Subject of appointments",
        subject_drop: "Never read",
        subject_keep: "Kept in the booking",
        subject_replace: "Never read; the following text replaces it",
        subject_text: "Text that replaces the subject",
        people: "People of an appointment",
        people_count: "Only the number of people",
        people_organizer: "The number of people and the organizer's address",
        people_addresses: "The number of people and everybody's address",
        private: "Private appointments",
        private_without_subject: "Booked without subject",
        private_anonymous: "Booked without subject and without any addresses",
        series: "Series with conflicts",
        series_about: "For rooms where Roombridge answers the organizer. Exchange's own settings count for the others.",
        series_per_date: "Book the free dates and decline the others one by one",
        series_per_date_hint: "Outlook mails the organizer about each declined date. A series that exceeds one of the two limits (by default 10 dates and 50 percent) is declined once, as a whole.",
        series_conflicts: "Dates that may conflict",
        series_percentage: "Percentage of the dates that may conflict",
        series_all: "Book all dates or none",
        series_all_hint: "With one conflict, the series is declined as a whole and nothing stays booked.",
        others: "Mail, audit, add-in",
        mail: "Sender of mail",
        mail_hint: "The address or object id of the one mailbox that sends mail. Leave it empty to send no mail.",
        audit_days: "Days for which the audit is kept",
        audit_days_hint: "30 to 3650. The audit says which requests were made, never what the answers contained.",
        add_in_property: "Property of the add-in",
        add_in_property_hint: "Only if you have your own add-in: String {GUID} Name text",
        save: "Save",
        mail_commands: "Letting us send mail",
        mail_commands_about: "The consent never includes permission to send mail. An Exchange administrator grants it for the one sender, in Exchange Online PowerShell:",
        bad_group: "This is not the object id of a group. It looks like 00000000-0000-0000-0000-000000000000.",
        no_such_group: "Your directory has no group with this object id.",
        too_many_excluded: "These are too many: at most {max}. To exclude more, leave people out of the scope group.",
        bad_days: "Enter a whole number of days from {min} to {max}.",
        bad_number: "Enter a whole number from 0 to {max}.",
        bad_property: "This is not the name of a property. It looks like String {GUID} Name text, and is not one of Exchange's own.",
        no_replacement: "Enter the text that replaces the subject.",
        delegates_need_mail: "Delegates need mail, because the owner is notified: enter a sender too.",
        mailbox_unknown: "Your directory does not know “{name}”.",
        directory_unavailable: "Microsoft does not answer at the moment. Save again in half a minute.",
        directory_denied: "Microsoft does not let us look this up. Connect again on the overview.",
    }

    /// `consent`: the rooms.
    rooms: RoomsTexts {
        title: "Rooms",
        about: "These are the rooms that Exchange lists. Choose which of them Roombridge manages, and who answers the organizer for them. The page Reach shows what you must set in Exchange.",
        total: "Number of rooms:",
        none: "Exchange lists no rooms.",
        mode: "Managed",
        off: "No",
        exchange: "Yes, Exchange answers the organizer",
        roombridge: "Yes, Roombridge answers the organizer",
        zone: "Time zone for all-day bookings",
        save: "Save these rooms",
        saved: "Saved.",
        before: "Previous rooms",
        after: "More rooms",
        bad_zone: "{room}: this is not a time zone. Write it like Europe/Zurich.",
        no_mailbox: "{room}: your directory has no mailbox with this address, so it cannot be managed.",
        a_person: "{room}: this is the mailbox of a person who has agreed, so it cannot be managed as a room.",
    }

    /// `consent`: the booking system.
    booking_system: BookingSystemTexts {
        title: "Booking system",
        about: "Where Roombridge makes the bookings. You can connect a booking system of your own and try everything before a single booking is made in it.",
        in_use: "In use",
        built_in: "The booking system built into Roombridge. This is the default, and you do not have to set anything up.",
        since_beginning: "From the beginning",
        this_one: "This system is in use.",
        not_this_one: "This system is not in use.",
        saved: "Saved.",
        disconnected: "The booking system was disconnected.",
        none_allowed: "The people who run Roombridge have not allowed the address of any booking system. Ask them to add yours to the setting ROOMBRIDGE_BOOKING_SYSTEMS.",
        too_many: "These are as many booking systems as can be connected. Disconnect one first.",
        connect: "Connect a booking system",
        system: "System",
        address: "Address",
        address_hint: "Only addresses that the people who run Roombridge have allowed.",
        account: "Account",
        account_kept: "In the vault since {date}. No page shows it.",
        account_refused: "The system refused it at the last test: enter it again under Account and settings.",
        account_over: "{system}: the password of our account ended on {date}. Enter the new one under Booking system, Account and settings.",
        account_ending: "{system}: the password of our account ends on {date}. Have it renewed, and enter the new one under Booking system, Account and settings.",
        rooms_mapped: "Rooms mapped",
        mapped_of: "{mapped} of {managed} managed rooms",
        last_check: "Last test",
        never_checked: "Never",
        check_passed: "Passed",
        check_rights: "Rights are missing",
        check_refused: "Account refused",
        check_no_answer: "No answer",
        check_throttled: "Too many requests",
        check_not_allowed: "Address not allowed",
        settings: "Account and settings",
        new_about: "Create an account for Roombridge in your booking system first. It needs the rights to see rooms, and to see, make, change and cancel bookings in the name of others.",
        write_only: "Login and password are kept in the vault. No page shows them again, and this form never fills them in.",
        login: "Login",
        password: "Password",
        password_hint: "For TOPdesk, the application password.",
        keep_account: "Leave login and password empty to keep the account.",
        ends: "Last day of the password (optional)",
        ends_hint: "This page and Health warn you from 30 days before.",
        bookings: "Bookings",
        requester: "Person for bookings without a known organizer",
        requester_hint: "The e-mail address or login of somebody whom the booking system knows. Bookings are made for this person where the organizer is not named or not known there.",
        reason: "Reason for cancellations (optional)",
        reason_hint: "Name or id of a reason, if your booking system wants one.",
        per_minute: "Requests per minute (optional)",
        per_minute_hint: "How many requests your booking system grants Roombridge. Leave it empty for the usual number.",
        save: "Save",
        type_again: "For safety the password is not filled in again: type login and password again.",
        need_login: "Enter the login.",
        need_password: "Enter the password.",
        need_both: "Enter login and password, or neither of them.",
        need_requester: "Enter a person whom the booking system knows.",
        bad_date: "This is not a date. Write it like 2026-11-24.",
        past_date: "This day is over.",
        bad_number: "Enter a whole number from 1 to {max}.",
        check: "Test the connection",
        check_about: "Signs in to the booking system and reads its rooms. Nothing is changed there.",
        check_title: "Test of {system}",
        signed_in: "The booking system knows us as",
        nothing_missing: "The account has every right that Roombridge needs.",
        missing: "Rights are missing",
        missing_about: "Ask the administrator of {product} to give the account these rights, then test again:",
        rooms_found: "Rooms that can be booked with this account:",
        rooms_none: "The account can book no rooms. Ask the administrator of {product} to give it access to them.",
        rooms_shown: "The first {count} of them:",
        capacity: "seats:",
        back: "Back to the booking system",
        refused: "{product} refuses the account",
        refused_next: "Login or password is wrong, or the account is locked or expired. Check it in {product}, and enter it again under Account and settings.",
        no_answer: "{product} does not answer",
        no_answer_next: "It could not be reached, or what answered is not {product}. Check that it is running and that the address is right, and try again in a few minutes. If it stays like this, the people who run Roombridge can see more.",
        throttled: "{product} takes no more requests at the moment",
        throttled_next: "Wait a few minutes and try again. If it happens often, have the owner of {product} grant more requests per minute.",
        not_allowed: "This address is not allowed any more",
        not_allowed_next: "The people who run Roombridge have removed it from the setting ROOMBRIDGE_BOOKING_SYSTEMS. Ask them, or disconnect this system.",
        rejected: "{product} rejects the request",
        rejected_next: "It says:",
        unexpected: "{product} answers in a way that we do not understand",
        unexpected_next: "Try again in a few minutes. If it stays like this, tell the people who run Roombridge.",
    }

    /// `consent`: what can really be reached.
    reach: ReachTexts {
        title: "Reach",
        about: "What Microsoft really lets us reach, checked just now.",
        grants: "Access to calendars for the whole organisation, according to our token",
        grants_none: "None. With scoped access that is correct.",
        grants_read: "We may read every calendar.",
        grants_write: "We may read and change every calendar.",
        grants_unknown: "We cannot see this at the moment.",
        unscoped_grants: "Your scope in Exchange has no effect",
        unscoped_grants_about: "You chose scoped access, but calendars are granted for the whole organisation too. Grants add up: we could reach every calendar. Remove the calendar permissions of our app in Entra, under Enterprise applications, Permissions.",
        directory_denied: "Microsoft refuses to show us the people or the scope group",
        directory_denied_about: "Microsoft's documents contradict each other on whether User.ReadBasic.All is enough for this. Calendars that are followed stay followed, but nobody else can be enrolled, and we do not notice who leaves the group. If you agree to the wider permission User.Read.All, a Privileged Role Administrator grants it with this command in PowerShell (module Microsoft.Graph). Check first that User.ReadBasic.All and GroupMember.Read.All are still granted.",
        directory_denied_reconnect: "Roombridge asks for User.Read.All, and your organisation has not granted it yet: connect again on the overview. Calendars that are followed stay followed, but nobody else can be enrolled, and we do not notice who leaves the group.",
        polled: "Polled calendars",
        polled_about: "Microsoft refuses to notify us about these calendars, although we may read them. We read them at regular intervals instead, so their rooms are booked a little later.",
        probe: "Try two mailboxes",
        inside: "Address of a mailbox that we should reach",
        outside: "Address of a mailbox that we should not reach",
        try_it: "Try",
        readable: "we can read its calendar.",
        denied: "Microsoft denies us its calendar.",
        no_mailbox: "it has no calendar that Microsoft knows.",
        unknown: "we could not try it: Microsoft does not answer at the moment.",
        inside_good: "That is correct.",
        inside_denied: "It is not in the scope yet: see the commands below. A change takes 30 minutes to 2 hours.",
        outside_good: "That is correct: Microsoft itself refuses it.",
        outside_readable: "It should be refused. Either it is in the scope, or calendars are granted for the whole organisation: grants add up. A change takes 30 minutes to 2 hours.",
        outside_wide: "With organisation-wide access we can reach every calendar. Exclude the mailbox under Policy so that we never follow it, or change to scoped access so that we cannot.",
        try_again: "Try another address, or try again later.",
        commands: "The scope in Exchange",
        commands_wide: "With organisation-wide access you do not have to set up anything in Exchange.",
        commands_about: "An Exchange administrator with the role Organization Management runs these in Exchange Online PowerShell; the first one needs the module Microsoft.Graph. Exchange must know the group; only its direct members count, and the managed rooms must be among them.",
        takes_time: "A change takes 30 minutes to 2 hours. The last command shows the decision of Exchange immediately.",
        later: "What could break later",
        assignment_about: "If AppRoleAssignmentRequired is True, only people to whom you assign the app can sign in to their own page. We recommend False:",
        rooms: "Managed rooms",
        rooms_about: "We cannot see how a room answers invitations. Each command shows it; AutomateProcessing must have the value below the command.",
        bookable: "Microsoft says that it can be booked.",
        reserved: "Microsoft says that it cannot be booked (reserved): change that, or do not manage it.",
        booking_unknown: "Microsoft does not say whether it can be booked.",
        must_be: "AutomateProcessing must be",
    }

    /// `consent`: what was decided.
    register: RegisterTexts {
        title: "Register",
        about: "Who allowed access, when, and to which version of the text; who withdrew it and when; and each change of the policy. People are named by their object ids. It is kept as evidence when you disconnect.",
        as_csv: "Download for a spreadsheet (CSV)",
        without_people: "This register has more than 20,000 entries. This page shows those about the organisation as a whole; the downloads have all.",
        at: "When",
        what: "What",
        by: "By",
        whom: "About",
        text_version: "Text",
        detail: "Details",
        old: "Before:",
        new: "After:",
        later: "Later entries",
        earlier: "Earlier entries",
    }

    /// `consent`: leaving.
    disconnect: DisconnectTexts {
        title: "Disconnect",
        about: "When you disconnect, Roombridge stops all its work for your organisation.",
        unsubscribed: "No calendar is followed any more.",
        deleted: "Everything stored is deleted: bookings, appointments, rooms, mailboxes.",
        kept: "The register of consent and the audit of requests are kept for their retention time, as evidence. They contain no names and nothing from any appointment.",
        outlook: "Appointments in Outlook stay as they are. Rooms are no longer booked for them.",
        at_microsoft: "Our app stays in your directory until you remove it: in Entra, under Enterprise applications.",
        sure: "Yes, disconnect the whole organisation",
        tick: "Tick the box to disconnect.",
        leaving: "Disconnecting",
        remaining: "Calendars left:",
        progress: "This page reloads every few seconds. You may close it: the work continues.",
        again: "It does not progress: restart it",
        left: "Disconnected",
        done: "Everything has been deleted since",
        reconnect: "Go to the first page to connect the organisation again",
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
