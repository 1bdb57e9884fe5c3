//! The policy as it is typed, and what of it is a policy.

use std::collections::BTreeSet;

use crate::{
    domain::{
        ids::MailboxId,
        policy::{ContentPolicy, PeoplePolicy, PrivatePolicy, SubjectPolicy},
        tenancy::{ConsentMode, MAX_AUDIT_DAYS, MIN_AUDIT_DAYS, TenantPolicy},
    },
    graph::PropertyId,
    web::layout::{
        Field, FieldError, Form, PageError,
        texts::{Texts, fill},
    },
};

/// The most excluded mailboxes: their ids, old and new, fit into one entry of the register, which
/// takes 32 Ki characters (learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
const EXCLUDED_MAX: usize = 400;

/// The longest text that may stand in a subject's place, in characters.
const SUBJECT_MAX: usize = 100;

/// The longest address, in characters (RFC 5321, 4.5.3.1: 64 + 1 + 255).
const ADDRESS_MAX: usize = 320;

/// The fields of the form; each one's `id` is its name.
pub(super) const FIELDS: &[Field] = &[
    Field::single_line("version", 40),
    Field::single_line("consent", 20),
    Field::single_line("scope-group", 40),
    Field::multiline("excluded", 30_000),
    Field::single_line("subject", 20),
    Field::single_line("subject-text", SUBJECT_MAX),
    Field::single_line("people", 20),
    Field::single_line("private", 20),
    Field::single_line("rooms-subscribed", 3),
    Field::single_line("delegates", 3),
    Field::single_line("rehearsal", 3),
    Field::single_line("rich", 3),
    Field::single_line("mail", ADDRESS_MAX),
    Field::single_line("audit-days", 8),
    Field::single_line("add-in-property", 120),
];

/// What stands in the form, exactly as it was typed.
pub(super) struct PolicyForm {
    pub(super) consent: String,
    pub(super) scope_group: String,
    pub(super) excluded: String,
    pub(super) subject: String,
    pub(super) subject_text: String,
    pub(super) people: String,
    pub(super) private: String,
    pub(super) rooms_subscribed: bool,
    pub(super) delegates: bool,
    pub(super) rehearsal: bool,
    pub(super) rich: bool,
    pub(super) mail: String,
    pub(super) audit_days: String,
    pub(super) add_in_property: String,
}

/// What was typed, as a policy; names that only the directory knows are still to be found.
pub(super) struct PolicyDraft {
    /// The policy without the mailboxes of `excluded_mailboxes` and `mail`.
    pub(super) policy: TenantPolicy,
    /// Addresses of excluded mailboxes.
    pub(super) excluded: Vec<String>,
    /// The sender's address or id.
    pub(super) mail: Option<String>,
}

impl PolicyForm {
    /// The form for `policy` as it stands.
    pub(super) fn from_policy(policy: &TenantPolicy) -> Self {
        let excluded: Vec<String> =
            policy.excluded_mailboxes.iter().map(ToString::to_string).collect();
        let (subject, subject_text) = match &policy.content.subject {
            SubjectPolicy::Drop => ("drop", String::new()),
            SubjectPolicy::Keep => ("keep", String::new()),
            SubjectPolicy::Replace(text) => ("replace", text.clone()),
        };
        Self {
            consent: match policy.consent {
                ConsentMode::OptIn => "opt-in",
                ConsentMode::Organisation => "organisation",
            }
            .to_owned(),
            scope_group: policy.scope_group.map(|group| group.to_string()).unwrap_or_default(),
            excluded: excluded.join("\n"),
            subject: subject.to_owned(),
            subject_text,
            people: match policy.content.people {
                PeoplePolicy::Count => "count",
                PeoplePolicy::Organizer => "organizer",
                PeoplePolicy::Addresses => "addresses",
            }
            .to_owned(),
            private: match policy.content.private {
                PrivatePolicy::WithoutSubject => "without-subject",
                PrivatePolicy::Anonymous => "anonymous",
            }
            .to_owned(),
            rooms_subscribed: policy.rooms_subscribed,
            delegates: policy.delegate_consent,
            rehearsal: policy.rehearsal,
            rich: policy.rich_notifications,
            mail: policy.mail_sender.map(|sender| sender.to_string()).unwrap_or_default(),
            audit_days: policy.audit_days.to_string(),
            add_in_property: policy.add_in_property.clone().unwrap_or_default(),
        }
    }

    /// What was posted.
    pub(super) fn parse(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            consent: text("consent"),
            scope_group: text("scope-group"),
            excluded: text("excluded"),
            subject: text("subject"),
            subject_text: text("subject-text"),
            people: text("people"),
            private: text("private"),
            rooms_subscribed: form.is_checked("rooms-subscribed"),
            delegates: form.is_checked("delegates"),
            rehearsal: form.is_checked("rehearsal"),
            rich: form.is_checked("rich"),
            mail: text("mail"),
            audit_days: text("audit-days"),
            add_in_property: text("add-in-property"),
        }
    }

    /// What of it is a policy; what is not is said at its field.
    ///
    /// # Errors
    /// [`PageError::MalformedForm`] for a choice that the page does not offer.
    pub(super) fn validate(&self, t: &Texts) -> Result<(PolicyDraft, Vec<FieldError>), PageError> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, text: String| errors.push(FieldError::new(field, text));
        let scope_group = self.scope_group.trim();
        let group = (!scope_group.is_empty()).then(|| scope_group.parse());
        let group = group.transpose().unwrap_or_else(|_| {
            wrong("scope-group", t.policy.bad_group.to_owned());
            None
        });
        let (ids, addresses) = parse_mailbox_list(&self.excluded);
        if ids.len() + addresses.len() > EXCLUDED_MAX {
            let max = EXCLUDED_MAX.to_string();
            wrong("excluded", fill(t.policy.too_many_excluded, &[("max", &max)]));
        }
        let days = self.audit_days.trim().parse().ok();
        let days = days.filter(|days| (MIN_AUDIT_DAYS..=MAX_AUDIT_DAYS).contains(days));
        if days.is_none() {
            let (min, max) = (MIN_AUDIT_DAYS.to_string(), MAX_AUDIT_DAYS.to_string());
            wrong("audit-days", fill(t.policy.bad_days, &[("min", &min), ("max", &max)]));
        }
        let property = self.add_in_property.trim();
        if !property.is_empty() && property.parse::<PropertyId>().is_err() {
            wrong("add-in-property", t.policy.bad_property.to_owned());
        }
        let replacement = self.subject_text.trim();
        if self.subject == "replace" && replacement.is_empty() {
            wrong("subject-text", t.policy.no_replacement.to_owned());
        }
        let mail = Some(self.mail.trim().to_owned()).filter(|mail| !mail.is_empty());
        if self.delegates && mail.is_none() {
            wrong("delegates", t.policy.delegates_need_mail.to_owned());
        }
        let policy = TenantPolicy {
            consent: self.consent()?,
            scope_group: group,
            excluded_mailboxes: ids,
            content: self.content(replacement)?,
            rooms_subscribed: self.rooms_subscribed,
            delegate_consent: self.delegates,
            mail_sender: None,
            audit_days: days.unwrap_or(MAX_AUDIT_DAYS),
            add_in_property: Some(property.to_owned()).filter(|text| !text.is_empty()),
            rich_notifications: self.rich,
            rehearsal: self.rehearsal,
        };
        Ok((PolicyDraft { policy, excluded: addresses, mail }, errors))
    }

    fn consent(&self) -> Result<ConsentMode, PageError> {
        match self.consent.as_str() {
            "opt-in" => Ok(ConsentMode::OptIn),
            "organisation" => Ok(ConsentMode::Organisation),
            _ => Err(PageError::MalformedForm),
        }
    }

    fn content(&self, replacement: &str) -> Result<ContentPolicy, PageError> {
        Ok(ContentPolicy {
            subject: match self.subject.as_str() {
                "drop" => SubjectPolicy::Drop,
                "keep" => SubjectPolicy::Keep,
                "replace" => SubjectPolicy::Replace(replacement.to_owned()),
                _ => return Err(PageError::MalformedForm),
            },
            people: match self.people.as_str() {
                "count" => PeoplePolicy::Count,
                "organizer" => PeoplePolicy::Organizer,
                "addresses" => PeoplePolicy::Addresses,
                _ => return Err(PageError::MalformedForm),
            },
            private: match self.private.as_str() {
                "without-subject" => PrivatePolicy::WithoutSubject,
                "anonymous" => PrivatePolicy::Anonymous,
                _ => return Err(PageError::MalformedForm),
            },
        })
    }
}

/// The ids and the addresses among lines of either, each once.
fn parse_mailbox_list(lines: &str) -> (BTreeSet<MailboxId>, Vec<String>) {
    let (mut ids, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
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

    fn checked(typed: &PolicyForm) -> (PolicyDraft, Vec<String>) {
        let (draft, errors) = typed.validate(&ENGLISH).unwrap();
        (draft, errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn a_form_as_it_was_shown_is_the_same_policy() {
        let policy = TenantPolicy {
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
            ..TenantPolicy::default()
        };
        let (draft, errors) = checked(&PolicyForm::from_policy(&policy));
        assert_eq!((draft.policy, errors), (policy, vec![]));
        assert!(draft.excluded.is_empty() && draft.mail.is_none());
    }

    #[test]
    fn what_is_no_policy_is_said_at_its_field() {
        let good = || PolicyForm::from_policy(&TenantPolicy::default());
        let cases: [(&str, PolicyForm); 7] = [
            ("scope-group", PolicyForm { scope_group: "everybody' or 1=1".into(), ..good() }),
            (
                "excluded",
                PolicyForm { excluded: (0..401).map(|n| format!("{n}@x\n")).collect(), ..good() },
            ),
            ("audit-days", PolicyForm { audit_days: "29".into(), ..good() }),
            ("audit-days", PolicyForm { audit_days: "3651".into(), ..good() }),
            ("add-in-property", PolicyForm { add_in_property: "Subject".into(), ..good() }),
            ("subject-text", PolicyForm { subject: "replace".into(), ..good() }),
            ("delegates", PolicyForm { delegates: true, ..good() }),
        ];
        for (field, typed) in cases {
            assert_eq!(checked(&typed).1, [field]);
        }
        let foreign = PolicyForm { consent: "everything".into(), ..good() };
        assert_eq!(foreign.validate(&ENGLISH).err(), Some(PageError::MalformedForm));
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
