//! Which content of a meeting is requested, and what is kept in the booking.

use roombridge::domain::personal::Personal;
use roombridge::domain::tenant::policy::{ContentPolicy, PeoplePolicy, SubjectPolicy};
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Meeting, Sensitivity};

use super::{EVENT, wanted_facts};
use crate::contoso::{Contoso, at, minutes};
use crate::{TestError, TestResult};

fn content_policy(subject: SubjectPolicy, people: PeoplePolicy) -> ContentPolicy {
    ContentPolicy { subject, people, ..ContentPolicy::default() }
}

/// How often the subject was asked for.
fn subject_requests(contoso: &Contoso) -> usize {
    let asked = contoso.world.microsoft.graph.requests();
    asked.iter().filter(|request| request.select.iter().any(|field| field == "subject")).count()
}

async fn subject_of(contoso: &Contoso, meeting: &Meeting) -> Result<Option<Personal>, TestError> {
    let booking = contoso.expect_booking(meeting, &contoso.aurora).await?;
    Ok(wanted_facts(&booking)?.details.subject.clone())
}

#[tokio::test]
async fn a_subject_is_asked_for_only_where_it_is_kept_and_only_with_a_room() -> TestResult {
    let contoso = Contoso::builder()
        .content(content_policy(SubjectPolicy::Keep, PeoplePolicy::Count))
        .open()
        .await?;
    let Contoso { tenant, anna, aurora, .. } = &contoso;
    tenant.meet(anna, Invitation::new("Dentist", at("08:00"), at("09:00")))?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(subject_requests(&contoso), 0, "no room, no subject");
    let meeting =
        tenant.meet(anna, Invitation::new("Numbers", at("09:00"), at("10:00")).room(aurora))?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(subject_of(&contoso, &meeting).await?, Some(Personal::new("Numbers")));
    let reads = contoso.graph_requests("GET", EVENT);
    let with_subject = reads.iter().filter(|request| request.select == ["subject"]);
    assert_eq!(with_subject.count(), subject_requests(&contoso), "in a read of its own");
    let from_rooms = reads.iter().filter(|request| request.mailbox.as_deref() == Some(aurora.id()));
    assert!(from_rooms.into_iter().all(|request| !request.select.contains(&"subject".to_owned())));

    meeting.rename("Layoffs")?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(subject_of(&contoso, &meeting).await?, Some(Personal::new("Layoffs")));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_private_subject_is_never_asked_for() -> TestResult {
    let contoso = Contoso::builder()
        .content(content_policy(SubjectPolicy::Keep, PeoplePolicy::Count))
        .open()
        .await?;
    let Contoso { tenant, anna, aurora, .. } = &contoso;
    for (n, sensitivity) in
        [Sensitivity::Private, Sensitivity::Confidential].into_iter().enumerate()
    {
        let (start, end) = [("09:00", "10:00"), ("10:00", "11:00")][n];
        let invitation = Invitation::new("Surgery", at(start), at(end)).room(aurora);
        let meeting = tenant.meet(anna, invitation.sensitivity(sensitivity))?;
        contoso.run_for(minutes(10)).await;
        assert_eq!(subject_of(&contoso, &meeting).await?, None);
        assert!(wanted_facts(&contoso.expect_booking(&meeting, aurora).await?)?.private);
    }
    assert_eq!(subject_requests(&contoso), 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_that_becomes_private_later_loses_its_subject() -> TestResult {
    let contoso = Contoso::builder()
        .content(content_policy(SubjectPolicy::Keep, PeoplePolicy::Count))
        .open()
        .await?;
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(2)).await;
    assert!(subject_of(&contoso, &meeting).await?.is_some());
    meeting.mark_private()?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(subject_of(&contoso, &meeting).await?, None);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_replaced_or_dropped_subject_is_never_asked_for() -> TestResult {
    for (subject, kept) in [
        (SubjectPolicy::Replace("Reserved".to_owned()), Some(Personal::new("Reserved"))),
        (SubjectPolicy::Drop, None),
    ] {
        let contoso =
            Contoso::builder().content(content_policy(subject, PeoplePolicy::Count)).open().await?;
        let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
        contoso.run_for(minutes(10)).await;
        assert_eq!(subject_of(&contoso, &meeting).await?, kept);
        assert_eq!(subject_requests(&contoso), 0);
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn people_are_a_number_unless_the_tenant_wants_their_addresses() -> TestResult {
    let (anna, ben) = (Personal::new("anna@contoso.example"), Personal::new("ben@contoso.example"));
    for (people, organizer, attendees) in [
        (PeoplePolicy::Count, None, vec![]),
        (PeoplePolicy::Organizer, Some(anna.clone()), vec![]),
        (PeoplePolicy::Addresses, Some(anna.clone()), vec![ben.clone()]),
    ] {
        let contoso =
            Contoso::builder().content(content_policy(SubjectPolicy::Drop, people)).open().await?;
        let Contoso { tenant, aurora, .. } = &contoso;
        let invitation = Invitation::new("Numbers", at("09:00"), at("10:00"));
        let invitation = invitation.with(&contoso.ben).room(aurora).body("the secret plan");
        let meeting = tenant.meet(&contoso.anna, invitation)?;
        contoso.run_for(minutes(2)).await;
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        let facts = wanted_facts(&booking)?;
        assert_eq!(facts.attendee_count, 2);
        assert!(facts.details.organizer == organizer && facts.details.attendees == attendees);
        // No table but Bookings has any of it.
        for table in Table::ALL {
            for row in contoso.rows(table).await? {
                let text = format!("{:?} {:?}", row.key, row.properties);
                assert!(!text.contains("secret") && !text.contains("Numbers"), "{table:?}");
                let named = text.contains("ben@contoso") || text.contains("anna@contoso");
                assert!(!named || table == Table::Bookings, "{table:?}");
            }
        }
        contoso.assert_healthy().await?;
    }
    Ok(())
}
