//! What Outlook shows of a booking: the room's answer, and the outcome on the organizer's copy.

use std::sync::Arc;

use jiff::civil::Weekday;
use roombridge::queue::Queue;
use roombridge::store::appointments::Appointments;
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Mailbox, Meeting, Recurrence, Response};
use world::graph::Refusal;

use crate::contoso::{Contoso, at, hours, minutes, on_both, seconds};
use crate::{TestError, TestResult};

const EVENT: &str = "/users/{id}/events/{id}";
const ACCEPT: &str = "/users/{id}/events/{id}/accept";
const DECLINE: &str = "/users/{id}/events/{id}/decline";

on_both!(each_room_has_its_outcome_on_the_organizers_copy, our_own_writes_cause_nothing_more,);

/// How many due entries unsettled bookings have.
async fn unsettled_count(contoso: &Contoso) -> Result<usize, crate::TestError> {
    let due = contoso.rows(Table::Due).await?;
    Ok(due.iter().filter(|row| row.key.partition.starts_with("unsettled")).count())
}

async fn each_room_has_its_outcome_on_the_organizers_copy(contoso: Contoso) -> TestResult {
    let Contoso { tenant, anna, cleo, aurora, borealis, .. } = &contoso;
    contoso.meet(cleo, ("09:30", "10:30"), borealis)?;
    contoso.run_for(minutes(2)).await;
    let invitation = Invitation::new("Numbers", at("09:00"), at("09:30")).body("the secret plan");
    let meeting = tenant.meet(anna, invitation.room(aurora).room(borealis))?;
    contoso.run_for(minutes(2)).await;
    for room in [aurora, borealis] {
        let property = contoso.outcome_property(&meeting, anna, room)?.ok_or("published")?;
        let id = contoso.expect_booking(&meeting, room).await?.id;
        assert_eq!(property, serde_json::json!({ "outcome": "booked", "match": id.to_string() }));
    }
    meeting.change_rooms(&[aurora])?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, borealis)?.as_deref(), Some("released"));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    // Graph answers a PATCH with the whole event; nothing of it is stored.
    for table in Table::ALL {
        for row in contoso.rows(table).await? {
            assert!(!format!("{:?}", row.properties).contains("secret plan"), "{table:?}");
        }
    }
    contoso.assert_healthy().await
}

async fn our_own_writes_cause_nothing_more(contoso: Contoso) -> TestResult {
    let Contoso { anna, aurora, world, .. } = &contoso;
    world.microsoft.graph.clear_requests();
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(15)).await;
    assert_eq!(contoso.graph_requests("POST", ACCEPT).len(), 1);
    assert_eq!(contoso.graph_requests("PATCH", EVENT).len(), 1);
    let answers = world.microsoft.exchange.responses_from(meeting.ical(), aurora);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].response == Response::Accepted && answers[0].sent);
    assert_eq!(unsettled_count(&contoso).await?, 0);
    let reads = contoso.graph_requests("GET", EVENT).len();
    contoso.run_for(minutes(30)).await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), reads, "all is quiet");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn where_exchange_decides_it_answers_and_we_only_book() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, borealis, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), borealis)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(borealis), Some(Response::Accepted));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, borealis)?.as_deref(), Some("booked"));
    // What Exchange declines was never booked, so we publish no outcome.
    let rival = contoso.meet(cleo, ("09:30", "10:30"), borealis)?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(rival.response_of(borealis), Some(Response::Declined));
    assert_eq!(contoso.ledger_slots(borealis, "2026-11-24").await?.len(), 1);
    assert_eq!(contoso.outcome_property(&rival, cleo, borealis)?, None);
    assert_eq!(
        (contoso.graph_requests("POST", ACCEPT), contoso.graph_requests("POST", DECLINE)),
        (vec![], vec![])
    );
    assert_eq!(world.microsoft.exchange.responses_from(rival.ical(), borealis).len(), 1);
    assert_eq!(unsettled_count(&contoso).await?, 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn where_exchange_decides_we_decline_what_it_accepted_and_the_booking_system_has_not()
-> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, cleo, borealis, .. } = &contoso;
    // The room's own day begins an hour before the UTC day that Exchange looks at.
    let (first, until) = (at("2026-11-25T00:00"), at("2026-11-26T00:00"));
    let offsite = Invitation::new("Offsite", first, until).room(borealis).all_day();
    tenant.meet(anna, offsite)?;
    contoso.run_for(minutes(2)).await;
    let late =
        tenant.meet(cleo, Invitation::new("Late", first - hours(1), first).room(borealis))?;
    assert_eq!(late.response_of(borealis), Some(Response::Accepted), "by Exchange");
    contoso.run_for(minutes(2)).await;
    assert_eq!(late.response_of(borealis), Some(Response::Declined));
    assert_eq!(
        contoso.outcome_on_copy(&late, cleo, borealis)?.as_deref(),
        Some("refused: conflict")
    );
    contoso.run_for(minutes(15)).await;
    assert_eq!(contoso.graph_requests("POST", DECLINE).len(), 1);
    assert_eq!(unsettled_count(&contoso).await?, 0);
    contoso.assert_healthy().await
}

/// Runs until a message for `write-back` is sent, and not a step further.
async fn run_until_write_back(contoso: &Contoso) {
    while contoso.queue_len(Queue::WriteBack) == 0 {
        contoso.world.microsoft.graph.deliver_due().await;
        contoso.world.host.process_all().await;
    }
}

#[tokio::test]
async fn nothing_is_written_to_somebody_who_withdrew_meanwhile() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    run_until_write_back(&contoso).await;
    world.fixtures().withdraw(anna).await?;
    contoso.run_for(minutes(15)).await;
    assert_eq!(contoso.outcome_property(&meeting, anna, aurora)?, None);
    assert_eq!(contoso.graph_requests("PATCH", EVENT), []);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted), "the room may answer");
    assert_eq!(unsettled_count(&contoso).await?, 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_rooms_copy_without_a_notification_is_found_by_its_shared_ical_uid() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let subscription = contoso.mailbox(aurora).await?.subscription.ok_or("subscribed")?;
    graph.end_silently(&subscription.id);
    world.microsoft.exchange.set_propagation_delay(seconds(20));
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(seconds(10)).await;
    let searches = contoso.graph_requests("GET", "/users/{id}/events");
    assert!(
        searches.iter().all(|s| s.filter.as_ref().is_some_and(|f| f.starts_with("iCalUId eq")))
    );
    assert!(!searches.is_empty(), "it has not arrived yet");
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_copy_that_is_gone_when_it_should_be_answered_is_read_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    run_until_write_back(&contoso).await;
    world.microsoft.graph.drop_next(1_000);
    meeting.delete_from(aurora)?;
    contoso.run_for(seconds(30)).await;
    let answered = contoso.graph_requests("POST", ACCEPT);
    assert!(!answered.is_empty() && answered.iter().all(|request| request.status == 404));
    assert_eq!(
        contoso.ledger_slots(aurora, "2026-11-24").await?,
        [],
        "the room has left the meeting"
    );
    contoso.run_for(minutes(15)).await;
    assert_eq!(unsettled_count(&contoso).await?, 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn repeating_an_answer_whose_response_was_lost_does_no_harm() -> TestResult {
    use world::fault_injection::Fault;
    use world::graph::{FaultOutcome as Answer, RequestFault};
    for (method, template) in [("POST", ACCEPT), ("PATCH", EVENT)] {
        for moment in [Fault::Before, Fault::After] {
            let contoso = Contoso::open().await?;
            let Contoso { anna, aurora, world, .. } = &contoso;
            let outcome = Answer::Broken;
            world.microsoft.graph.plan_fault(RequestFault {
                method,
                template,
                nth: 1,
                moment,
                outcome,
            });
            let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
            contoso.run_for(minutes(15)).await;
            assert_eq!(world.microsoft.graph.faults_triggered(), 1);
            assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
            assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
            assert_eq!(unsettled_count(&contoso).await?, 0);
            contoso.assert_healthy().await?;
        }
    }
    Ok(())
}

/// Anna has Aurora every Tuesday at nine, so many times.
fn meet_on_tuesdays(contoso: &Contoso, count: u16) -> Result<Meeting, TestError> {
    let (start, end) = (at("2026-12-01T09:00"), at("2026-12-01T10:00"));
    let invitation = Invitation::new("Standup", start, end).room(&contoso.aurora);
    let tuesdays = Recurrence::weekly(&[Weekday::Tuesday]).times(count);
    Ok(contoso.tenant.meet(&contoso.anna, invitation.series(tuesdays))?)
}

#[tokio::test]
async fn a_new_date_that_is_called_off_before_its_lost_answer_is_repeated_is_counted_no_more()
-> TestResult {
    use world::fault_injection::Fault;
    use world::graph::{FaultOutcome, RequestFault};
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let series = meet_on_tuesdays(&contoso, 2)?;
    contoso.run_for(minutes(5)).await;
    world.microsoft.graph.plan_fault(RequestFault {
        method: "PATCH",
        template: EVENT,
        nth: 1,
        moment: Fault::After,
        outcome: FaultOutcome::Broken,
    });
    series.repeat(Recurrence::weekly(&[Weekday::Tuesday]).times(3))?;
    world.run_until_idle().await;
    assert_eq!(world.microsoft.graph.faults_triggered(), 1);
    let written = contoso.outcome_property(&series, anna, aurora)?.ok_or("written")?;
    assert_eq!(written["dates"], 3, "though nobody knows");
    series.occurrence(at("2026-12-15T09:00")).cancel()?;
    contoso.run_for(minutes(15)).await;
    let written = contoso.outcome_property(&series, anna, aurora)?.ok_or("written")?;
    assert_eq!(written["dates"], 2);
    assert_eq!(unsettled_count(&contoso).await?, 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_date_that_is_called_off_settles_though_nothing_leads_to_its_series() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, world, .. } = &contoso;
    for day in [1, 8] {
        let (start, end) = (format!("2026-12-{day:02}T09:00"), format!("2026-12-{day:02}T10:00"));
        contoso.meet(cleo, (&start, &end), aurora)?;
    }
    contoso.run_for(minutes(5)).await;
    let series = meet_on_tuesdays(&contoso, 2)?;
    contoso.run_for(minutes(5)).await;
    series.occurrence(at("2026-12-08T09:00")).cancel()?;
    run_until_write_back(&contoso).await;
    for pointer in contoso.appointments(anna).await? {
        let appointments = Appointments::new(Arc::clone(&world.raw_tables));
        appointments.remove(pointer.tenant, pointer.copy_key()).await?;
    }
    contoso.run_for(minutes(15)).await;
    assert_eq!(unsettled_count(&contoso).await?, 0);
    contoso.assert_healthy().await
}

/// Refuses a kind of writes to this mailbox from now on.
fn refuse_writes(
    contoso: &Contoso,
    (method, template): (&'static str, &'static str),
    mailbox: &Mailbox,
    (status, code): (u16, &'static str),
) {
    let (mailbox, event) = (mailbox.id().to_owned(), None);
    let refusal = Refusal { method, template, mailbox, event, status, code };
    contoso.world.microsoft.graph.refuse(refusal);
}

#[tokio::test]
async fn a_write_that_finds_no_event_which_each_read_finds_is_counted_and_given_up() -> TestResult {
    for (method, template) in [("PATCH", EVENT), ("POST", ACCEPT), ("POST", DECLINE)] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, cleo, aurora, world, .. } = &contoso;
        if template == DECLINE {
            contoso.meet(cleo, ("09:30", "10:30"), aurora)?;
            contoso.run_for(minutes(5)).await;
        }
        let mailbox = if method == "PATCH" { anna } else { aurora };
        refuse_writes(&contoso, (method, template), mailbox, (404, "ErrorItemNotFound"));
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        // As long as the clock does not move, nothing is asked again.
        world.run_until_idle().await;
        let asked = contoso.graph_requests(method, template).len();
        assert!(asked <= 6, "{template}: {asked}");
        contoso.run_for(minutes(4)).await;
        let asked = contoso.graph_requests(method, template).len();
        assert!((4..=15).contains(&asked), "{template}: {asked}");
        let failures = contoso.failures().await?;
        let [failure] = failures.as_slice() else { return Err("one failure".into()) };
        assert_eq!(failure.function, "write-back");
        assert!(failure.cause.contains("for a write"), "{}", failure.cause);

        contoso.run_for(hours(26)).await;
        let asked = contoso.graph_requests(method, template).len();
        assert!(asked <= 50, "{template}: {asked}");
        assert_eq!(contoso.failures().await?.len(), 1);
        assert!(unsettled_count(&contoso).await? <= 1);

        // The due entry finds that the fault has gone, if the meeting is not over by then.
        world.microsoft.graph.end_refusals();
        if method == "PATCH" {
            let later = ("2026-11-26T09:00", "2026-11-26T10:00");
            meeting.move_to(at(later.0), at(later.1))?;
            contoso.run_for(minutes(2)).await;
            let outcome = contoso.outcome_on_copy(&meeting, anna, aurora)?;
            assert_eq!(outcome.as_deref(), Some("booked"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_write_that_is_denied_for_ever_has_one_chain_of_retries_and_one_failure() -> TestResult {
    for status in [403, 503] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        refuse_writes(&contoso, ("PATCH", EVENT), anna, (status, "ErrorAccessDenied"));
        let far = ("2026-11-30T09:00", "2026-11-30T10:00");
        let meeting = contoso.meet(anna, far, aurora)?;
        let (met, mut asked_by_hour) = (contoso.now(), Vec::new());
        while contoso.failures().await?.is_empty() {
            contoso.run_for(hours(1)).await;
            asked_by_hour.push(contoso.graph_requests("PATCH", EVENT).len());
            assert!(asked_by_hour.len() < 30, "{status}: no failure: {asked_by_hour:?}");
        }
        let asked = contoso.graph_requests("PATCH", EVENT).len();
        assert!(status != 403 || asked <= 20, "{asked_by_hour:?}");
        assert!(asked <= 130, "{asked_by_hour:?}");
        let failures = contoso.failures().await?;
        let [failure] = failures.as_slice() else { return Err("one failure".into()) };
        assert_eq!(failure.function, "write-back");
        assert!(failure.failed_at > contoso.now() - hours(1));
        let given_up_after = failure.failed_at.duration_since(met);
        assert!((hours(24)..hours(25)).contains(&given_up_after), "{status}: {given_up_after}");
        assert_eq!(unsettled_count(&contoso).await?, 1, "one entry watches it");

        world.microsoft.graph.end_refusals();
        contoso.run_for(hours(7)).await;
        assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
        assert_eq!(unsettled_count(&contoso).await?, 0);
    }
    Ok(())
}
