//! The form of the policy: how it shows a policy, and what it accepts as one.

use std::collections::BTreeSet;

use crate::{
    domain::{
        ids::MailboxId,
        tenant::{
            ConsentMode, MAX_AUDIT_DAYS, MIN_AUDIT_DAYS, TenantPolicy,
            policy::{ContentPolicy, PeoplePolicy, PrivatePolicy, SeriesConflicts, SubjectPolicy},
        },
    },
    graph::PropertyId,
    web::layout::{
        Field, FieldError, Form, MAX_ADDRESS_CHARS, PageError,
        texts::{Texts, fill},
    },
};

/// The most excluded mailboxes: their ids, old and new, fit into one entry of the register, which
/// holds 32 Ki characters (learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
const MAX_EXCLUDED: usize = 400;

/// The longest text that may replace a subject, in characters.
const MAX_REPLACEMENT_CHARS: usize = 100;

/// The most conflicts of a series that may be declined one by one: each mails the organizer.
const MAX_SERIES_CONFLICTS: u16 = 1000;

/// The fields of the form; each one's `id` is its name.
pub(super) const FIELDS: &[Field] = &[
    Field::single_line("version", 40),
    Field::single_line("consent", 20),
    Field::single_line("scope-group", 40),
    Field::multiline("excluded", 30_000),
    Field::single_line("subject", 20),
    Field::single_line("subject-text", MAX_REPLACEMENT_CHARS),
    Field::single_line("people", 20),
    Field::single_line("private", 20),
    Field::single_line("series", 20),
    Field::single_line("series-conflicts", 8),
    Field::single_line("series-percentage", 8),
    Field::single_line("rooms-subscribed", 3),
    Field::single_line("delegates", 3),
    Field::single_line("rehearsal", 3),
    Field::single_line("rich", 3),
    Field::single_line("mail", MAX_ADDRESS_CHARS),
    Field::single_line("audit-days", 8),
    Field::single_line("add-in-property", 120),
];

/// The form that shows `policy`.
pub(super) fn from_policy(policy: &TenantPolicy) -> Form {
    let excluded: Vec<String> = policy.excluded_mailboxes.iter().map(ToString::to_string).collect();
    let (subject, subject_text) = match &policy.content.subject {
        SubjectPolicy::Drop => ("drop", ""),
        SubjectPolicy::Keep => ("keep", ""),
        SubjectPolicy::Replace(text) => ("replace", text.as_str()),
    };
    let consent = match policy.consent {
        ConsentMode::OptIn => "opt-in",
        ConsentMode::Organisation => "organisation",
    };
    let people = match policy.content.people {
        PeoplePolicy::Count => "count",
        PeoplePolicy::Organizer => "organizer",
        PeoplePolicy::Addresses => "addresses",
    };
    let private = match policy.content.private {
        PrivatePolicy::WithoutSubject => "without-subject",
        PrivatePolicy::Anonymous => "anonymous",
    };
    let (series, conflicts, percentage) = match policy.series_conflicts {
        SeriesConflicts::PerDate { maximum_instances, percentage_allowed } => {
            ("per-date", maximum_instances.to_string(), percentage_allowed.to_string())
        }
        SeriesConflicts::AllOrNothing => ("all-or-nothing", String::new(), String::new()),
    };
    let text = |id: Option<String>| id.unwrap_or_default();
    let ticked = |yes| if yes { "yes".to_owned() } else { String::new() };
    Form::of([
        ("consent", consent.to_owned()),
        ("scope-group", text(policy.scope_group.map(|group| group.to_string()))),
        ("excluded", excluded.join("\n")),
        ("subject", subject.to_owned()),
        ("subject-text", subject_text.to_owned()),
        ("people", people.to_owned()),
        ("private", private.to_owned()),
        ("series", series.to_owned()),
        ("series-conflicts", conflicts),
        ("series-percentage", percentage),
        ("rooms-subscribed", ticked(policy.rooms_subscribed)),
        ("delegates", ticked(policy.delegate_consent)),
        ("rehearsal", ticked(policy.rehearsal)),
        ("rich", ticked(policy.rich_notifications)),
        ("mail", text(policy.mail_sender.map(|sender| sender.to_string()))),
        ("audit-days", policy.audit_days.to_string()),
        ("add-in-property", text(policy.add_in_property.clone())),
    ])
}

/// The policy that was typed, and the errors at their fields. It lacks the mailboxes that were typed
/// by address, which only the directory knows: see [`addresses`]. A choice that the page does not
/// offer is an error of the whole form.
pub(super) fn validate(
    form: &Form,
    t: &Texts,
) -> Result<(TenantPolicy, Vec<FieldError>), PageError> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, text: String| errors.push(FieldError::new(field, text));
    let scope_group = form.text("scope-group").trim();
    // Must be an id: the text becomes a part of the address of a request to Graph.
    let scope_group = (!scope_group.is_empty()).then(|| scope_group.parse());
    let scope_group = scope_group.transpose().unwrap_or_else(|_| {
        wrong("scope-group", t.policy.bad_group.to_owned());
        None
    });
    let (excluded_mailboxes, excluded) = parse_mailbox_list(form.text("excluded"));
    if excluded_mailboxes.len() + excluded.len() > MAX_EXCLUDED {
        let max = MAX_EXCLUDED.to_string();
        wrong("excluded", fill(t.policy.too_many_excluded, &[("max", &max)]));
    }
    let days = form.text("audit-days").trim().parse().ok();
    let days = days.filter(|days| (MIN_AUDIT_DAYS..=MAX_AUDIT_DAYS).contains(days));
    if days.is_none() {
        let (min, max) = (MIN_AUDIT_DAYS.to_string(), MAX_AUDIT_DAYS.to_string());
        wrong("audit-days", fill(t.policy.bad_days, &[("min", &min), ("max", &max)]));
    }
    let property = form.text("add-in-property").trim();
    if !property.is_empty() && property.parse::<PropertyId>().is_err() {
        wrong("add-in-property", t.policy.bad_property.to_owned());
    }
    let replacement = form.text("subject-text").trim();
    if form.text("subject") == "replace" && replacement.is_empty() {
        wrong("subject-text", t.policy.no_replacement.to_owned());
    }
    let delegate_consent = form.is_checked("delegates");
    // Without mail an owner would never know that somebody agreed for them.
    if delegate_consent && addresses(form).1.is_none() {
        wrong("delegates", t.policy.delegates_need_mail.to_owned());
    }
    let policy = TenantPolicy {
        consent: parse_consent(form)?,
        scope_group,
        excluded_mailboxes,
        content: parse_content(form, replacement)?,
        rooms_subscribed: form.is_checked("rooms-subscribed"),
        delegate_consent,
        mail_sender: None,
        // With an error nothing is saved, so any number does.
        audit_days: days.unwrap_or(MAX_AUDIT_DAYS),
        add_in_property: Some(property.to_owned()).filter(|text| !text.is_empty()),
        rich_notifications: form.is_checked("rich"),
        rehearsal: form.is_checked("rehearsal"),
        series_conflicts: parse_series(form, t, &mut errors)?,
    };
    errors.extend(form.input_errors(t));
    Ok((policy, errors))
}

/// What the directory has to resolve: the excluded addresses, and the sender of mail.
pub(super) fn addresses(form: &Form) -> (Vec<String>, Option<&str>) {
    let (_, excluded) = parse_mailbox_list(form.text("excluded"));
    (excluded, Some(form.text("mail").trim()).filter(|mail| !mail.is_empty()))
}

fn parse_consent(form: &Form) -> Result<ConsentMode, PageError> {
    match form.text("consent") {
        "opt-in" => Ok(ConsentMode::OptIn),
        "organisation" => Ok(ConsentMode::Organisation),
        _ => Err(PageError::MalformedForm),
    }
}

fn parse_content(form: &Form, replacement: &str) -> Result<ContentPolicy, PageError> {
    Ok(ContentPolicy {
        subject: match form.text("subject") {
            "drop" => SubjectPolicy::Drop,
            "keep" => SubjectPolicy::Keep,
            "replace" => SubjectPolicy::Replace(replacement.to_owned()),
            _ => return Err(PageError::MalformedForm),
        },
        people: match form.text("people") {
            "count" => PeoplePolicy::Count,
            "organizer" => PeoplePolicy::Organizer,
            "addresses" => PeoplePolicy::Addresses,
            _ => return Err(PageError::MalformedForm),
        },
        private: match form.text("private") {
            "without-subject" => PrivatePolicy::WithoutSubject,
            "anonymous" => PrivatePolicy::Anonymous,
            _ => return Err(PageError::MalformedForm),
        },
    })
}

/// What becomes of a series with conflicts. The numbers say something where its dates are declined one by one.
fn parse_series(
    form: &Form,
    t: &Texts,
    errors: &mut Vec<FieldError>,
) -> Result<SeriesConflicts, PageError> {
    let mut number = |field, max: u16| {
        let typed = form.text(field).trim().parse().ok().filter(|number| *number <= max);
        if typed.is_none() {
            let text = fill(t.policy.bad_number, &[("max", &max.to_string())]);
            errors.push(FieldError::new(field, text));
        }
        // With an error nothing is saved, so any number does.
        typed.unwrap_or(0)
    };
    match form.text("series") {
        "per-date" => {
            let maximum_instances = number("series-conflicts", MAX_SERIES_CONFLICTS);
            let percentage_allowed = number("series-percentage", 100).try_into().unwrap_or(100);
            Ok(SeriesConflicts::PerDate { maximum_instances, percentage_allowed })
        }
        "all-or-nothing" => Ok(SeriesConflicts::AllOrNothing),
        _ => Err(PageError::MalformedForm),
    }
}

/// The ids and the addresses among `lines`, each once.
fn parse_mailbox_list(lines: &str) -> (BTreeSet<MailboxId>, Vec<String>) {
    let (mut ids, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // Addresses are compared without regard to case, as Exchange does.
        match line.parse() {
            Ok(id) => drop(ids.insert(id)),
            Err(_) => drop(addresses.insert(line.to_lowercase())),
        }
    }
    (ids, addresses.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::ids::GroupId, web::layout::texts::ENGLISH};
    use uuid::Uuid;

    fn checked(form: &Form) -> (TenantPolicy, Vec<String>) {
        let (policy, errors) = validate(form, &ENGLISH).unwrap();
        (policy, errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn a_form_as_it_was_shown_is_the_same_policy() {
        let mut policy = TenantPolicy {
            consent: ConsentMode::Organisation,
            scope_group: Some(GroupId(Uuid::from_u128(5))),
            excluded_mailboxes: [MailboxId(Uuid::from_u128(1)), MailboxId(Uuid::from_u128(2))]
                .into(),
            content: ContentPolicy {
                subject: SubjectPolicy::Replace("Reserved".to_owned()),
                people: PeoplePolicy::Organizer,
                private: PrivatePolicy::Anonymous,
            },
            rooms_subscribed: false,
            rich_notifications: true,
            rehearsal: true,
            audit_days: 30,
            add_in_property: Some(
                "String {7f105c7d-2dc5-4530-97cd-4e7ae6534c07} Name room".to_owned(),
            ),
            series_conflicts: SeriesConflicts::PerDate {
                maximum_instances: 3,
                percentage_allowed: 100,
            },
            ..TenantPolicy::default()
        };
        let form = from_policy(&policy);
        assert_eq!(checked(&form), (policy.clone(), vec![]));
        assert_eq!(addresses(&form), (vec![], None));
        policy.series_conflicts = SeriesConflicts::AllOrNothing;
        assert_eq!(checked(&from_policy(&policy)), (policy, vec![]));
    }

    #[test]
    fn what_is_no_policy_is_said_at_its_field() {
        let typed = |field: &str, value: &str| {
            let mut form = from_policy(&TenantPolicy::default());
            form.set(field, value);
            form
        };
        let many: String = (0..401).map(|n| format!("{n}@x\n")).collect();
        let cases = [
            ("scope-group", typed("scope-group", "everybody' or 1=1")),
            ("excluded", typed("excluded", &many)),
            ("audit-days", typed("audit-days", "29")),
            ("audit-days", typed("audit-days", "3651")),
            ("add-in-property", typed("add-in-property", "Subject")),
            ("subject-text", typed("subject", "replace")),
            ("delegates", typed("delegates", "yes")),
            ("series-conflicts", typed("series-conflicts", "")),
            ("series-conflicts", typed("series-conflicts", "1001")),
            ("series-percentage", typed("series-percentage", "101")),
            ("series-percentage", typed("series-percentage", "-1")),
        ];
        for (field, form) in cases {
            assert_eq!(checked(&form).1, [field]);
        }
        let foreign = typed("consent", "everything");
        assert_eq!(validate(&foreign, &ENGLISH).err(), Some(PageError::MalformedForm));
    }

    #[test]
    fn lines_are_ids_or_addresses_each_once() {
        let id = Uuid::from_u128(7);
        let (ids, addresses) =
            parse_mailbox_list(&format!(" {id} \n\n{id}\nAnna@x\n anna@x\t\nben@x"));
        assert_eq!(ids.len(), 1);
        assert_eq!(addresses, ["anna@x", "ben@x"]);
    }
}
