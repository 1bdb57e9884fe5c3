//! A policy in words that do not change with the language: the register keeps them, and they show
//! whether somebody else changed the policy in the meantime.

use crate::domain::{
    keys::Digest,
    tenant::{
        ConsentMode, TenantPolicy,
        policy::{PeoplePolicy, PrivatePolicy, SeriesConflicts, SubjectPolicy},
    },
};

/// The settings that differ between two policies: the name, the old value and the new one.
pub(in super::super) fn policy_changes(
    old: &TenantPolicy,
    new: &TenantPolicy,
) -> Vec<(&'static str, String, String)> {
    let pairs = describe(old).into_iter().zip(describe(new));
    let differ = pairs.filter(|((_, old), (_, new))| old != new);
    differ.map(|((name, old), (_, new))| (name, old, new)).collect()
}

/// Identifies this very policy. The form carries it, so that nobody overwrites what they did not see.
pub(super) fn policy_version(policy: &TenantPolicy) -> String {
    let words = describe(policy);
    let parts: Vec<&[u8]> = words.iter().map(|(_, text)| text.as_bytes()).collect();
    Digest::of(&parts).to_string()
}

/// Every setting by its name, always in the same order.
fn describe(policy: &TenantPolicy) -> [(&'static str, String); 14] {
    let yes_no = |yes| if yes { "yes" } else { "no" }.to_owned();
    let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.to_owned());
    // Ids, never names: the register is kept long after people have left.
    let excluded: Vec<String> = policy.excluded_mailboxes.iter().map(ToString::to_string).collect();
    [
        (
            "consent",
            match policy.consent {
                ConsentMode::OptIn => "each person",
                ConsentMode::Organisation => "organisation",
            }
            .to_owned(),
        ),
        ("scope group", or(policy.scope_group.map(|group| group.to_string()), "everybody")),
        ("excluded mailboxes", excluded.join(" ")),
        (
            "subject",
            match &policy.content.subject {
                SubjectPolicy::Drop => "drop".to_owned(),
                SubjectPolicy::Keep => "keep".to_owned(),
                SubjectPolicy::Replace(text) => format!("replace by: {text}"),
            },
        ),
        (
            "people",
            match policy.content.people {
                PeoplePolicy::Count => "count",
                PeoplePolicy::Organizer => "organizer",
                PeoplePolicy::Addresses => "addresses",
            }
            .to_owned(),
        ),
        (
            "private appointments",
            match policy.content.private {
                PrivatePolicy::WithoutSubject => "without subject",
                PrivatePolicy::Anonymous => "anonymous",
            }
            .to_owned(),
        ),
        (
            "series with conflicts",
            match policy.series_conflicts {
                SeriesConflicts::PerDate { maximum_instances, percentage_allowed } => {
                    format!("each date, up to {maximum_instances} and {percentage_allowed} %")
                }
                SeriesConflicts::AllOrNothing => "all or nothing".to_owned(),
            },
        ),
        ("rooms subscribed", yes_no(policy.rooms_subscribed)),
        ("delegates", yes_no(policy.delegate_consent)),
        ("mail sender", or(policy.mail_sender.map(|sender| sender.to_string()), "off")),
        ("audit days", policy.audit_days.to_string()),
        ("add-in property", or(policy.add_in_property.clone(), "none")),
        ("rich notifications", yes_no(policy.rich_notifications)),
        ("rehearsal", yes_no(policy.rehearsal)),
    ]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{GroupId, MailboxId};

    #[test]
    fn each_changed_policy_is_reported_with_what_it_was_and_is() {
        let old = TenantPolicy::default();
        assert_eq!(policy_changes(&old, &old), []);
        let new = TenantPolicy {
            scope_group: Some(GroupId(Uuid::nil())),
            excluded_mailboxes: [MailboxId(Uuid::from_u128(2)), MailboxId(Uuid::from_u128(1))]
                .into(),
            audit_days: 30,
            series_conflicts: SeriesConflicts::AllOrNothing,
            ..old.clone()
        };
        let changes = policy_changes(&old, &new);
        let names: Vec<_> = changes.iter().map(|(name, ..)| *name).collect();
        assert_eq!(
            names,
            ["scope group", "excluded mailboxes", "series with conflicts", "audit days"]
        );
        assert_eq!((changes[0].1.as_str(), changes[3].2.as_str()), ("everybody", "30"));
        let series = (changes[2].1.as_str(), changes[2].2.as_str());
        assert_eq!(series, ("each date, up to 10 and 50 %", "all or nothing"));
        assert!(changes[1].2.starts_with("00000000-0000-0000-0000-000000000001 "));
        assert_ne!(policy_version(&old), policy_version(&new));
        assert_eq!(policy_version(&old), policy_version(&TenantPolicy::default()));
    }
}
