//! The policy as it is typed, and what of it is a policy.

use std::collections::BTreeSet;

use crate::{
    domain::{
        ids::MailboxId,
        policy::{ContentPolicy, PeoplePolicy, PrivatePolicy, SubjectPolicy},
        tenancy::{AUDIT_DAYS_MAX, AUDIT_DAYS_MIN, ConsentMode, TenantPolicy},
    },
    graph::PropertyId,
    web::layout::{
        Field, FieldError, Form, Problem,
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
    Field::line("version", 40),
    Field::line("consent", 20),
    Field::line("scope-group", 40),
    Field::lines("excluded", 30_000),
    Field::line("subject", 20),
    Field::line("subject-text", SUBJECT_MAX),
    Field::line("people", 20),
    Field::line("private", 20),
    Field::line("rooms-subscribed", 3),
    Field::line("delegates", 3),
    Field::line("rehearsal", 3),
    Field::line("rich", 3),
    Field::line("mail", ADDRESS_MAX),
    Field::line("audit-days", 8),
    Field::line("add-in-property", 120),
];

/// What stands in the form, exactly as it was typed.
pub(super) struct Typed {
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
pub(super) struct Draft {
    /// The policy without the mailboxes of `excluded` and `mail`.
    pub(super) policy: TenantPolicy,
    /// Addresses of excluded mailboxes.
    pub(super) excluded: Vec<String>,
    /// The sender's address or id.
    pub(super) mail: Option<String>,
}

impl Typed {
    /// The form for `policy` as it stands.
    pub(super) fn of(policy: &TenantPolicy) -> Self {
        let excluded: Vec<String> = policy.excluded.iter().map(ToString::to_string).collect();
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
            delegates: policy.delegates,
            rehearsal: policy.rehearsal,
            rich: policy.rich,
            mail: policy.mail.map(|sender| sender.to_string()).unwrap_or_default(),
            audit_days: policy.audit_days.to_string(),
            add_in_property: policy.add_in_property.clone().unwrap_or_default(),
        }
    }

    /// What was posted.
    pub(super) fn read(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            consent: text("consent"),
            scope_group: text("scope-group"),
            excluded: text("excluded"),
            subject: text("subject"),
            subject_text: text("subject-text"),
            people: text("people"),
            private: text("private"),
            rooms_subscribed: form.ticked("rooms-subscribed"),
            delegates: form.ticked("delegates"),
            rehearsal: form.ticked("rehearsal"),
            rich: form.ticked("rich"),
            mail: text("mail"),
            audit_days: text("audit-days"),
            add_in_property: text("add-in-property"),
        }
    }

    /// What of it is a policy; what is not is said at its field.
    ///
    /// # Errors
    /// [`Problem::BadForm`] for a choice that the page does not offer.
    pub(super) fn check(&self, t: &Texts) -> Result<(Draft, Vec<FieldError>), Problem> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, text: String| errors.push(FieldError::new(field, text));
        let scope_group = self.scope_group.trim();
        let group = (!scope_group.is_empty()).then(|| scope_group.parse());
        let group = group.transpose().unwrap_or_else(|_| {
            wrong("scope-group", t.policy.bad_group.to_owned());
            None
        });
        let (ids, addresses) = names(&self.excluded);
        if ids.len() + addresses.len() > EXCLUDED_MAX {
            let max = EXCLUDED_MAX.to_string();
            wrong("excluded", fill(t.policy.too_many_excluded, &[("max", &max)]));
        }
        let days = self.audit_days.trim().parse().ok();
        let days = days.filter(|days| (AUDIT_DAYS_MIN..=AUDIT_DAYS_MAX).contains(days));
        if days.is_none() {
            let (min, max) = (AUDIT_DAYS_MIN.to_string(), AUDIT_DAYS_MAX.to_string());
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
            excluded: ids,
            content: self.content(replacement)?,
            rooms_subscribed: self.rooms_subscribed,
            delegates: self.delegates,
            mail: None,
            audit_days: days.unwrap_or(AUDIT_DAYS_MAX),
            add_in_property: Some(property.to_owned()).filter(|text| !text.is_empty()),
            rich: self.rich,
            rehearsal: self.rehearsal,
        };
        Ok((Draft { policy, excluded: addresses, mail }, errors))
    }

    fn consent(&self) -> Result<ConsentMode, Problem> {
        match self.consent.as_str() {
            "opt-in" => Ok(ConsentMode::OptIn),
            "organisation" => Ok(ConsentMode::Organisation),
            _ => Err(Problem::BadForm),
        }
    }

    fn content(&self, replacement: &str) -> Result<ContentPolicy, Problem> {
        Ok(ContentPolicy {
            subject: match self.subject.as_str() {
                "drop" => SubjectPolicy::Drop,
                "keep" => SubjectPolicy::Keep,
                "replace" => SubjectPolicy::Replace(replacement.to_owned()),
                _ => return Err(Problem::BadForm),
            },
            people: match self.people.as_str() {
                "count" => PeoplePolicy::Count,
                "organizer" => PeoplePolicy::Organizer,
                "addresses" => PeoplePolicy::Addresses,
                _ => return Err(Problem::BadForm),
            },
            private: match self.private.as_str() {
                "without-subject" => PrivatePolicy::WithoutSubject,
                "anonymous" => PrivatePolicy::Anonymous,
                _ => return Err(Problem::BadForm),
            },
        })
    }
}

/// The ids and the addresses among lines of either, each once.
fn names(lines: &str) -> (BTreeSet<MailboxId>, Vec<String>) {
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

    fn checked(typed: &Typed) -> (Draft, Vec<String>) {
        let (draft, errors) = typed.check(&ENGLISH).unwrap();
        (draft, errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn a_form_as_it_was_shown_is_the_same_policy() {
        let policy = TenantPolicy {
            consent: ConsentMode::Organisation,
            scope_group: Some(GroupId(Uuid::from_u128(5))),
            excluded: [MailboxId(Uuid::from_u128(1)), MailboxId(Uuid::from_u128(2))].into(),
            content: ContentPolicy {
                subject: SubjectPolicy::Replace("Reserved".to_owned()),
                people: PeoplePolicy::Organizer,
                private: PrivatePolicy::Anonymous,
            },
            rooms_subscribed: false,
            rich: true,
            rehearsal: true,
            audit_days: 30,
            add_in_property: Some(
                "String {7f105c7d-2dc5-4530-97cd-4e7ae6534c07} Name room".to_owned(),
            ),
            ..TenantPolicy::default()
        };
        let (draft, errors) = checked(&Typed::of(&policy));
        assert_eq!((draft.policy, errors), (policy, vec![]));
        assert!(draft.excluded.is_empty() && draft.mail.is_none());
    }

    #[test]
    fn what_is_no_policy_is_said_at_its_field() {
        let good = || Typed::of(&TenantPolicy::default());
        let cases: [(&str, Typed); 7] = [
            ("scope-group", Typed { scope_group: "everybody' or 1=1".into(), ..good() }),
            (
                "excluded",
                Typed { excluded: (0..401).map(|n| format!("{n}@x\n")).collect(), ..good() },
            ),
            ("audit-days", Typed { audit_days: "29".into(), ..good() }),
            ("audit-days", Typed { audit_days: "3651".into(), ..good() }),
            ("add-in-property", Typed { add_in_property: "Subject".into(), ..good() }),
            ("subject-text", Typed { subject: "replace".into(), ..good() }),
            ("delegates", Typed { delegates: true, ..good() }),
        ];
        for (field, typed) in cases {
            assert_eq!(checked(&typed).1, [field]);
        }
        let foreign = Typed { consent: "everything".into(), ..good() };
        assert_eq!(foreign.check(&ENGLISH).err(), Some(Problem::BadForm));
    }

    #[test]
    fn lines_are_ids_or_addresses_each_once() {
        let id = Uuid::from_u128(7);
        let (ids, addresses) = names(&format!(" {id} \n\n{id}\nAnna@x\n anna@x\t\nben@x"));
        assert_eq!(ids.len(), 1);
        assert_eq!(addresses, ["anna@x", "ben@x"]);
    }
}
