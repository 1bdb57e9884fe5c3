//! Every word that people read, in one place: another language is another value of [`Texts`].
//!
//! Texts are plain: templates escape them and bring all markup. `{name}` in a text is filled in by
//! [`fill`]. Whoever changes what people agree to raises the version of that text.

/// Declares a section and its English at once: each field's text is its documentation.
macro_rules! texts {
    ($(#[$about:meta])* $name:ident $english:ident { $($field:ident: $text:literal,)* }) => {
        $(#[$about])*
        pub(crate) struct $name {
            $(#[doc = $text] pub(crate) $field: &'static str,)*
        }

        const $english: $name = $name { $($field: $text,)* };
    };
}

/// The same for problems: what it is called, what happened, what to do next.
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

/// One problem in words.
pub(crate) struct ErrorMessage {
    /// What it is called: the page's title.
    pub(crate) title: &'static str,
    /// What happened.
    pub(crate) happened: &'static str,
    /// What to do next.
    pub(crate) next: &'static str,
}

/// All texts in one language.
pub(crate) struct Texts {
    /// The language, as HTML's `lang` wants it.
    pub(crate) lang: &'static str,
    /// Around every page.
    pub(crate) layout: LayoutTexts,
    /// What stands in the way.
    pub(crate) errors: ErrorTexts,
    /// `consent`: what is asked for.
    pub(crate) start: StartTexts,
    /// `consent`: to Microsoft and back.
    pub(crate) connect: ConnectTexts,
    /// `consent`: how it stands.
    pub(crate) dashboard: DashboardTexts,
    /// `consent`: how well calendars are followed.
    pub(crate) health: HealthTexts,
    /// `consent`: what the tenant decides.
    pub(crate) policy: PolicyTexts,
    /// `consent`: the rooms.
    pub(crate) rooms: RoomsTexts,
    /// `consent`: what can be reached.
    pub(crate) reach: ReachTexts,
    /// `consent`: what was decided.
    pub(crate) register: RegisterTexts,
    /// `consent`: what was asked.
    pub(crate) audit: AuditTexts,
    /// `consent`: leaving.
    pub(crate) disconnect: DisconnectTexts,
    /// `my-calendar`: what a person reads about the own calendar.
    pub(crate) my_calendar: MyCalendarTexts,
}

/// The texts in English.
pub(crate) static ENGLISH: Texts = Texts {
    lang: "en",
    layout: LAYOUT,
    errors: PROBLEMS,
    start: START,
    connect: CONNECT,
    dashboard: DASHBOARD,
    health: HEALTH,
    policy: POLICY,
    rooms: ROOMS,
    reach: REACH,
    register: REGISTER,
    audit: AUDIT,
    disconnect: DISCONNECT,
    my_calendar: MY_CALENDAR,
};

/// `text` with `{name}` replaced by its value, for each of `values`.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

texts! {
    /// Around every page.
    LayoutTexts LAYOUT {
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
        invalid_chars: "This holds characters that cannot be typed. Type it anew.",
        footer: "Roombridge turns calendar appointments into room bookings, and forgets them when they are over.",
    }
}

texts! {
    /// What a person reads about the own calendar.
    MyCalendarTexts MY_CALENDAR {
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
        erase_about: "As withdrawing; besides, everything that is stored about you is deleted, and our mark is removed from your appointments. Where your organisation keeps addresses in bookings, yours stays in the bookings of those who invited you, until these are over. Besides, only the record of who decided what when stays, because it proves that this was done.",
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
        stored_polled_since: "Looked at regularly since",
        stored_last_notification: "Last notification from Microsoft, to the hour",
        stored_drift: "Last comparison; appointments not booked, not in Outlook, different",
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
        column_published: "What Outlook shows",
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
        column_attempts: "Tries",
        not_stored: "What is not stored",
        not_stored_lines: "the text of your appointments, or anything attached to them\nlinks to online meetings\nwho accepted or declined\nappointments without a room that your organisation manages\nyour name\nyour address, unless your organisation keeps addresses in bookings\nyour password, or anything that lets Roombridge sign in as you",
        download: "Download everything as a file (JSON)",
        did_agree: "You agreed. Your calendar is followed within some minutes.",
        did_agree_before: "You had agreed already. If anything was missing, it is being done now.",
        did_withdraw: "You have withdrawn. Your calendar is not followed any more.",
        did_erase: "What was stored about you is being deleted. This takes some minutes; load the page again to see it.",
        did_withdraw_before: "That was decided before. If anything was left to do, it is being done now.",
        did_nothing: "There was nothing to do: your calendar is not followed, and nothing is stored.",
        did_delegate: "You agreed for the owner, who was told by mail.",
        did_delegate_before: "That calendar is followed already. Nothing was changed.",
        denied_suspended: "Nothing was changed: Roombridge has lost its access to your organisation. Ask an administrator.",
        denied_leaving: "Nothing was changed: your organisation is being disconnected.",
        denied_out_of_scope: "Nothing was changed: the calendar is not among those that your organisation lets Roombridge follow.",
        denied_excluded: "Nothing was changed: an administrator has excluded that mailbox.",
        denied_room: "Nothing was changed: an administrator decides about the mailbox of a room.",
        denied_text_changed: "Nothing was changed: the text has changed meanwhile. Read it again below.",
        denied_delegates_off: "Nothing was changed: your organisation does not let delegates agree for owners.",
        denied_owner_unknown: "Nothing was changed: your organisation's directory knows nobody with that address.",
        denied_own_calendar: "Nothing was changed: that is your own calendar. Agree for it above.",
        denied_no_delegation: "Nothing was changed: the owner has not made you a delegate of the calendar. Sharing it with you is not enough.",
        denied_delegation_unreadable: "Nothing was changed: who the delegates of that calendar are cannot be read, so nothing is proved.",
        denied_owner_not_notified: "Nothing was changed: the owner cannot be told by mail, and no calendar is followed without its owner knowing.",
        denied_owner_withdrew: "Nothing was changed: the owner has withdrawn before. Only the owner can agree again.",
        mail_subject: "Somebody agreed for you that Roombridge follows your calendar",
        mail_text: "Hello,\n\n{delegate} is a delegate of your calendar and has agreed for you that Roombridge follows it, so that rooms which you invite are booked.\n\nIf that is right, you need to do nothing. If not, or if you want to see what is stored about you, open this page, sign in, and withdraw:\n\n{address}\n\nYour delegate cannot agree again after you have withdrawn.\n",
    }
}

error_texts! {
    /// What stands in the way.
    ErrorTexts PROBLEMS {
        not_signed_in: "You are not signed in",
            "This page is for people who are signed in. You were not yet, or your session of one hour is over.",
            "Sign in, then open the page again.";
        session_expired: "Your session is over",
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
        csrf_mismatch: "This form is of an earlier session",
            "The form does not belong to the session that you are signed in with now. Nothing was changed.",
            "Go back in your browser to copy what you typed, open the page again, and fill it in there.";
        malformed_form: "This form cannot be read",
            "What was sent is not a form of this page. Nothing was changed.",
            "Open the page again and fill in the form there.";
        too_large: "This form is too large",
            "A form may hold 64 KiB. Nothing was changed.",
            "Go back in your browser and shorten it.";
        not_found: "There is no such page",
            "The address leads nowhere: it may be mistyped, or of an earlier version.",
            "Begin at the first page.";
        method_not_allowed: "This page cannot be used like this",
            "The address exists, but takes another kind of request.",
            "Begin at the first page.";
        conflict: "Somebody else was faster",
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
        microsoft_denied: "Microsoft refuses us",
            "Your organisation gives us no access, or not enough for this. A grant may take some minutes to work everywhere.",
            "Try again in some minutes. If it stays so, an administrator can connect the organisation again from the first page.";
        sign_in_refused: "You were not signed in",
            "You or Microsoft stopped the sign-in. Nothing was changed.",
            "Sign in again. If Microsoft says that your organisation must allow it first, ask your administrator.";
        sign_in_state_mismatch: "This sign-in was not begun here",
            "The answer from Microsoft belongs to no sign-in of this browser, or was used before. Nobody was signed in.",
            "Sign in again, and use one tab only.";
        sign_in_expired: "The sign-in took too long",
            "More than ten minutes passed. Nobody was signed in.",
            "Sign in again.";
        sign_in_unverified: "We cannot tell who you are",
            "What Microsoft sent does not prove who signed in. Nobody was signed in.",
            "Sign in again with an account of your organisation. If it happens again, tell whoever runs Roombridge.";
        consent_refused: "Your organisation was not connected",
            "You or Microsoft refused the permissions. Nothing was changed.",
            "Read what is asked for on the first page, and begin again there if you want to connect.";
        consent_state_mismatch: "This consent was not begun here",
            "The answer from Microsoft belongs to no request of this browser and account, or was used before. Nothing was changed.",
            "Begin again at the first page, and use one tab only.";
        consent_replayed: "This consent was used before",
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

texts! {
    /// `consent`: what is asked for, and how to connect.
    StartTexts START {
        title: "Connect your organisation",
        what: "Roombridge reads the appointments in calendars that you and your people allow it to read, and books the meeting rooms in them. When an appointment is over, what was stored about it is deleted.",
        how: "It learns from Microsoft 365 that an appointment was made, moved or cancelled, reads when it takes place and which rooms are invited, books those rooms, answers the organizer for the room, and notes the outcome on the appointment.",
        who_may: "Connecting takes a Global Administrator or a Privileged Role Administrator. Signing in grants nothing yet.",
        was_connected: "Your organisation was disconnected. You can connect it anew; nobody's earlier consent comes back.",
        two_ways: "Two ways to give access to calendars",
        two_ways_why: "You choose who could read what. Both ways need the same few directory permissions; they differ in the calendars.",
        organisation_wide: "Organisation-wide",
        organisation_wide_reads: "Microsoft lets Roombridge technically read and change every calendar of every mailbox in your organisation: also that of the board, of human resources, of the works council, and of everybody who never agreed. That it follows only those who agreed is Roombridge's own restraint.",
        organisation_wide_means: "Asked for when you choose organisation-wide. Everything that stands here with the kind of a permission is granted in one step.",
        organisation_wide_choice: "Nothing to set up in Exchange. Works within minutes.",
        scoped: "Scoped",
        scoped_reads: "Microsoft lets Roombridge technically read and change only the calendars of the mailboxes that you put into a scope in Exchange Online. Any other calendar is refused by Microsoft itself, whatever Roombridge asks.",
        scoped_means: "Asked for when you choose scoped. No permission for calendars is in the consent: you give that in Exchange Online with commands that are shown to you, filled in.",
        scoped_choice: "Takes an Exchange administrator some minutes, and Exchange up to two hours until it works everywhere. Recommended.",
        sign_in_app: "Signing in",
        sign_in_app_means: "The app that you and your people sign in with. It has no permission that works without somebody signed in, so nobody who signs in is ever shown the grants above.",
        choose: "Which way?",
        rehearsal: "Look first, book later",
        rehearsal_hint: "Calendars are followed and compared, and the page Health says what would be booked. Nothing is booked, and nothing is written to Outlook, until you end the rehearsal on the page Policy.",
        connect: "Go on",
        permissions: "What is asked for, why, and what it could reach",
        permissions_about: "This list is made from the one that the program itself uses.",
        permission: "Permission",
        needed_for: "What we need it for",
        reaches: "What it can technically reach",
        never: "What we never ask, although it could",
        in_exchange: "Given in Exchange Online by you, never part of the consent",
        fields: "What is read of an appointment",
        fields_about: "Of an appointment in a followed calendar, these fields and no others are asked for:",
        subject_about: "Only if you decide to keep subjects, and then only of appointments that are not private and have a room that Roombridge manages:",
        forbidden_about: "Never asked for, by any request the program can make:",
        honest: "Said honestly: where a person's calendar is followed, the fields above are read of every appointment in it, also of those without a room. Those leave no trace. Where only rooms are followed, only what concerns the rooms is read.",
    }
}

texts! {
    /// `consent`: to Microsoft's consent page and back.
    ConnectTexts CONNECT {
        title: "Grant the permissions at Microsoft",
        leave: "The next page is Microsoft's. It lists what is granted, and asks you to accept it for your whole organisation.",
        same_account: "Choose the account that you are signed in with here. You have ten minutes.",
        go: "Go on to Microsoft",
        back: "Back, without granting anything",
        not_yet_title: "Microsoft has not finished yet",
        not_yet: "You granted the permissions, and they do not work yet: that can take a minute. Nothing was stored so far.",
        again: "Try again",
        not_yet_ten: "If it still does not work ten minutes after you left for Microsoft, begin again.",
    }
}

texts! {
    /// `consent`: how a connected organisation stands.
    DashboardTexts DASHBOARD {
        title: "Overview",
        active: "Your organisation is connected.",
        suspended: "Your organisation is suspended",
        since: "Since",
        token_refused: "Microsoft gives us no access any more: our app was removed or switched off in your organisation. Work has stopped; nothing was deleted. If that was a mistake, connect again. If not, disconnect, so that everything stored is deleted.",
        call_refused: "Microsoft refuses our calls: the permissions were removed. Work has stopped; nothing was deleted. If that was a mistake, connect again. If not, disconnect, so that everything stored is deleted.",
        calendars_missing: "The permissions for calendars were removed. Work has stopped; nothing was deleted. Connect again to grant them, or choose the scoped way below.",
        reconnect: "Connect again",
        connection: "Connection",
        registration: "Way",
        consent: "People agree",
        connected_at: "Connected",
        connected_by: "By the administrator with the object id",
        text_version: "To the text of version",
        checked_at: "Access looked at last",
        calendars: "Calendars",
        people: "People's, followed",
        rooms: "Rooms', followed",
        paused: "Paused by your policy",
        polled: "Looked at now and then, because Microsoft refuses to notify",
        withdrawn: "Withdrawn, being forgotten",
        switch: "Change the way",
        switch_about: "Going over to the other way asks for its consent, and makes all subscriptions anew. Remove the grants of the old way afterwards under Enterprise applications: grants add up.",
        switch_to: "Change to:",
    }
}

texts! {
    /// `consent`: how well calendars are followed.
    HealthTexts HEALTH {
        title: "Health",
        about: "Each followed calendar is compared with what is booked: after it was subscribed, after any gap, and regularly besides. So what a notification did not tell is found all the same.",
        rehearsal: "Rehearsal: nothing is booked",
        would_book_rooms: "{count} appointments would be booked, counted in the rooms' calendars.",
        would_book_people: "{count} appointments would be booked, counted in the calendars of those who organize them.",
        rehearsal_about: "As of the last comparison of each calendar. A series is not counted: series are not booked yet. Compare now for the state of this hour; end the rehearsal under Policy, and what is there is booked.",
        quota: "Microsoft refuses more subscriptions",
        quota_about: "There are as many subscriptions as Microsoft allows for your organisation or for these mailboxes. Changes in these calendars are not notified; they are seen when the calendar is compared. It is tried again by itself. Other apps may hold subscriptions to the same mailboxes: remove those that you do not need, or exclude mailboxes under Policy that book no rooms.",
        quota_since: "The first one since",
        followed: "How calendars are followed",
        mode: "Way",
        people: "People's",
        rooms: "Rooms'",
        basic: "Subscribed",
        rich: "Subscribed, fields come with the notification",
        polled: "Looked at now and then, because Microsoft refuses to notify",
        over_quota: "Not subscribed, because Microsoft refuses more",
        waiting: "Waiting to be subscribed",
        paused: "Paused by your policy",
        withdrawn: "Withdrawn, being forgotten",
        drift: "What the last comparison found",
        drift_about: "What was found is set right at once: the numbers say what a notification had not told, and the next comparison should find none of it. The same appointment counts once in its organizer's calendar and once in each room's.",
        drift_rehearsal: "In a rehearsal nothing is set right: the numbers say what would be done. The same appointment counts once in its organizer's calendar and once in each room's.",
        found: "Found",
        missing: "In Outlook, but not booked",
        left_over: "Booked, but not in Outlook",
        different: "Booked otherwise than Outlook says",
        missing_rehearsal: "In Outlook, would be booked",
        left_over_rehearsal: "Booked before and not in Outlook, would be released",
        different_rehearsal: "Booked before, would be changed",
        compared: "Calendars compared",
        not_compared: "Not compared yet under the present subscription",
        between: "Compared last:",
        compare: "Compare now",
        compare_about: "Every followed calendar is compared, about five in a second, so that Microsoft's limits are kept. Load this page again to see the numbers change.",
        comparing: "Every calendar is being compared.",
        notable: "Calendars with something to say",
        none_notable: "None: no calendar differs, and none is refused.",
        notable_total: "In all:",
        mailbox: "Room, or object id",
        short_missing: "not booked:",
        short_left_over: "not in Outlook:",
        short_different: "different:",
        before: "Those before",
        after: "Those after",
        as_csv: "Download every calendar for a spreadsheet (CSV)",
        as_json: "Download as JSON",
    }
}

texts! {
    /// `consent`: what was asked.
    AuditTexts AUDIT {
        title: "Audit",
        about: "Every call that Roombridge made for your organisation: which, when, which fields it named, and how it ended. Never what was answered. All numbers are counted from these rows.",
        from: "From the day",
        to: "To the day",
        days_hint: "UTC days, like 2026-11-24; at most 31 at once.",
        show: "Show these days",
        as_csv: "Download these calls for a spreadsheet (CSV)",
        as_json: "Download as JSON",
        truncated: "There are more calls than this page counts at once: the last day shown is not complete, and days may be missing. Choose fewer days, or download: the download is always complete.",
        no_calls: "No call.",
        calls: "Calls",
        reads: "Requests that read a calendar or an appointment",
        answered: "Those that Microsoft answered",
        forbidden: "Forbidden fields asked of Microsoft",
        blocked: "Requests stopped before they left",
        call: "Call",
        fields: "Fields named",
        not_said: "What this cannot say",
        not_said_about: "Calls are written down when the work that made them ends, so those of the last minutes may not be here yet. If a process is killed before that, or storage stays away for so long that too many calls wait, their rows are missing here for good; they are in our own log. Signing in is no call for your organisation's data and is not listed.",
        compare: "To check it: Microsoft's own audit log of your organisation (MicrosoftGraphActivityLogs) has the same requests, with the same client-request-id as the column correlation.",
        bad_day: "This is no day. It looks like 2026-11-24.",
        backwards: "The last day is before the first one.",
        too_many_days: "These are too many: at most 31 days at once.",
    }
}

texts! {
    /// `consent`: what the tenant decides.
    PolicyTexts POLICY {
        title: "Policy",
        about: "Each change is kept in the register with what it was and what it is.",
        saved: "Saved. Calendars are being brought in line.",
        conflict: "Somebody else has changed the policy meanwhile",
        conflict_about: "What you typed is below, and was not saved. Saving now replaces the following:",
        now: "it is now",
        yours: "and would become",
        consent: "How people agree",
        opt_in: "Each person must agree",
        opt_in_hint: "Nobody's calendar is followed before they tick the box on their own page.",
        organisation: "The organisation agrees for everybody in scope",
        organisation_hint: "Everybody in the scope group is followed. People see it on their own page and can withdraw.",
        whose: "Whose calendars",
        scope_group: "Scope group",
        scope_group_hint: "The object id of a group. Only its members can be followed. Empty: everybody can.",
        excluded: "Excluded mailboxes",
        excluded_hint: "Never followed, whatever else says so. One object id or address a line, at most 400. Addresses are kept as object ids.",
        rooms_subscribed: "Follow the calendars of managed rooms",
        rooms_subscribed_hint: "Then rooms are booked for everybody, without names for those who have not agreed. Otherwise only those who agreed are booked.",
        delegates: "A delegate may agree for the owner of a calendar",
        delegates_hint: "The owner is told by mail, and can revoke it.",
        following: "How calendars are followed",
        rehearsal: "Rehearsal: look and count, book nothing",
        rehearsal_hint: "Calendars are followed and compared, and the page Health says what would be booked. Within a minute of saving, no appointment is booked any more; only what is half done by then is finished. What was booked before stays as it is until it is over, also if its appointment is moved or cancelled meanwhile. Withdrawing and deleting work as ever. When you end the rehearsal, what is in the calendars is booked.",
        rich: "Notifications bring the fields of the appointment with them",
        rich_hint: "Otherwise they say only that an appointment changed, and we ask Microsoft for its fields. These are the same fields, never the subject. Microsoft seals them for us: only the private key in our vault opens them, and it is held in memory alone. Sealed fields are kept for at most six hours, on their way. Each subscription lives for less than a day and is renewed before.",
        rich_needs: "Microsoft signs such notifications as our app in your directory. That app (the one you consented to, under Enterprise applications) must not require assignment: AppRoleAssignmentRequired must be False, or the notifications prove nothing and are refused.",
        subject: "Subject of appointments",
        subject_drop: "Never read",
        subject_keep: "Kept in the booking",
        subject_replace: "Never read; the following text stands in its place",
        subject_text: "Text in the place of the subject",
        people: "People of an appointment",
        people_count: "Only how many they are",
        people_organizer: "How many, and the organizer's address",
        people_addresses: "How many, and everybody's addresses",
        private: "Private appointments",
        private_without_subject: "Booked without subject",
        private_anonymous: "Booked without subject and without anybody's address",
        others: "Mail, audit, add-in",
        mail: "Sender of mail",
        mail_hint: "The address or object id of the one mailbox that mail is sent from. Empty: no mail is sent.",
        audit_days: "Days that the audit is kept",
        audit_days_hint: "30 to 3650. The audit says which calls were made, never what they answered.",
        add_in_property: "Property of the add-in",
        add_in_property_hint: "Only with an add-in of your own: String {GUID} Name text",
        save: "Save",
        mail_commands: "Letting us send mail",
        mail_commands_about: "Sending mail is never part of the consent. An Exchange administrator gives it for the one sender, in Exchange Online PowerShell:",
        bad_group: "This is not the object id of a group. It looks like 00000000-0000-0000-0000-000000000000.",
        no_such_group: "Your directory has no group with this object id.",
        too_many_excluded: "These are too many: at most {max}. For more, leave people out of the scope group.",
        bad_days: "Give a whole number of days from {min} to {max}.",
        bad_property: "This is not the name of a property. It looks like String {GUID} Name text, and is not one of Exchange's own.",
        no_replacement: "Give the text that stands in the place of the subject.",
        delegates_need_mail: "Delegates need mail, because the owner is told: give a sender too.",
        mailbox_unknown: "Your directory knows nobody by “{name}”.",
        directory_unavailable: "Microsoft does not answer for now. Save again in half a minute.",
        directory_denied: "Microsoft refuses to look this up. Connect again from the overview.",
    }
}

texts! {
    /// `consent`: the rooms.
    RoomsTexts ROOMS {
        title: "Rooms",
        about: "These are the rooms that Exchange lists. Choose which of them Roombridge manages, and who answers the organizer for them. Page “Reach” shows what must be set in Exchange.",
        total: "Rooms in all:",
        none: "Exchange lists no rooms.",
        mode: "Managed",
        off: "No",
        exchange: "Yes, Exchange answers by itself",
        roombridge: "Yes, Roombridge answers",
        zone: "Time zone of all-day bookings",
        save: "Save these rooms",
        saved: "Saved.",
        before: "Rooms before these",
        after: "More rooms",
        bad_zone: "{room}: this is no time zone. It looks like Europe/Zurich.",
        no_mailbox: "{room}: your directory knows no mailbox of this address, so it cannot be managed.",
        a_person: "{room}: this is the mailbox of a person who has agreed, so it cannot be managed as a room.",
    }
}

texts! {
    /// `consent`: what can really be reached.
    ReachTexts REACH {
        title: "Reach",
        about: "What Microsoft really lets us reach, tried at this moment.",
        grants: "Calendars granted for the whole organisation, by our token",
        grants_none: "None. With the scoped way that is as it should be.",
        grants_read: "Every calendar may be read.",
        grants_write: "Every calendar may be read and changed.",
        grants_unknown: "This cannot be seen for now.",
        unscoped_grants: "Your scope in Exchange is without effect",
        unscoped_grants_about: "You chose the scoped way, and calendars are granted for the whole organisation too. Grants add up: we could reach every calendar. Remove the permissions for calendars of our app in Entra, under Enterprise applications, Permissions.",
        polled: "Calendars that are looked at now and then",
        polled_about: "Microsoft refuses to notify us about these, although we may read them. They are looked at regularly instead, so their rooms are booked somewhat later.",
        probe: "Try two mailboxes",
        inside: "Address of a mailbox that we should reach",
        outside: "Address of a mailbox that we should not reach",
        try_it: "Try",
        readable: "its calendar can be read.",
        denied: "its calendar is refused.",
        no_mailbox: "it has no calendar that Microsoft knows.",
        unknown: "it could not be tried: Microsoft does not answer for now.",
        inside_good: "That is as it should be.",
        inside_denied: "It is not in the scope yet: see the commands below. A change takes 30 minutes to 2 hours.",
        outside_good: "That is as it should be: Microsoft itself refuses it.",
        outside_readable: "It should be refused. Either it is in the scope, or calendars are granted for the whole organisation: grants add up. A change takes 30 minutes to 2 hours.",
        outside_wide: "With the organisation-wide way every calendar can be reached. Exclude the mailbox under Policy so that it is never followed, or change to the scoped way so that it cannot be.",
        try_again: "Try another address, or try again later.",
        commands: "The scope in Exchange",
        commands_wide: "With the organisation-wide way there is nothing to set up in Exchange.",
        commands_about: "An Exchange administrator with the role Organization Management runs these in Exchange Online PowerShell, with the module Microsoft.Graph for the first. The group must be known to Exchange; only its direct members count, and the managed rooms must be among them.",
        takes_time: "A change takes 30 minutes to 2 hours. The last command shows what Exchange has decided without waiting.",
        later: "What would break later",
        assignment_about: "If AppRoleAssignmentRequired is True, only people whom you assign can sign in to their own page. False is recommended:",
        rooms: "Managed rooms",
        rooms_about: "How a room answers invitations cannot be seen by us. Each command shows it; AutomateProcessing must have the value that stands below it.",
        bookable: "Microsoft says that it can be booked.",
        reserved: "Microsoft says that it cannot be booked (reserved): change that, or do not manage it.",
        booking_unknown: "Microsoft does not say whether it can be booked.",
        must_be: "AutomateProcessing must be",
    }
}

texts! {
    /// `consent`: what was decided.
    RegisterTexts REGISTER {
        title: "Register",
        about: "Who allowed access, when, to which version of the text, and withdrew it when; and each change of the policy. People are named by their object ids. It is kept when you disconnect, as evidence.",
        as_csv: "Download for a spreadsheet (CSV)",
        as_json: "Download as JSON",
        at: "When",
        what: "What",
        by: "By",
        whom: "About",
        text_version: "Text",
        detail: "Detail",
        old: "Before:",
        new: "After:",
    }
}

texts! {
    /// `consent`: leaving.
    DisconnectTexts DISCONNECT {
        title: "Disconnect",
        about: "Disconnecting ends everything that Roombridge does for your organisation.",
        unsubscribed: "No calendar is followed any more.",
        deleted: "Everything stored is deleted: bookings, appointments, rooms, mailboxes.",
        kept: "The register of consent and the audit of calls stay for their time, as evidence. They hold no names and nothing of any appointment.",
        outlook: "Appointments in Outlook stay as they are. Rooms are not booked for them any more.",
        at_microsoft: "Our app stays in your directory until you remove it: in Entra, under Enterprise applications.",
        sure: "Yes, disconnect the whole organisation",
        tick: "Tick this to disconnect.",
        go: "Disconnect",
        leaving: "Disconnecting",
        remaining: "Calendars still to do:",
        progress: "This page shows itself anew every few seconds. You may close it: the work goes on.",
        again: "It does not move: nudge it",
        left: "Disconnected",
        done: "Everything is deleted, since",
        reconnect: "To the first page, where the organisation can be connected anew",
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
