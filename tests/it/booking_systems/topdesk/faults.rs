//! Each call of a booking that is made, changed or ended fails once, before or after it took effect.

use roombridge::booking::BookingSystemError;
use roombridge::domain::booking_system::BookingRequest;
use roombridge::domain::personal::Personal;
use world::fault_injection::Fault;
use world::topdesk::TOPDESK_HOST;

use super::{Installation, at, query, room};
use crate::{TestError, TestResult};

/// What happens to the booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Make,
    Change,
    Cancel,
}

/// An installation in which there is what the act needs, and the two states of the booking.
async fn scene(act: Act) -> Result<(Installation, BookingRequest, BookingRequest), TestError> {
    let here = Installation::open().await?;
    here.topdesk.add_person("Ben", "ben@contoso.example");
    let before = here.request(1, "09:00", "10:00")?;
    let after = BookingRequest {
        room: room(here.borealis),
        subject: Some(Personal::new("Another")),
        attendees: vec![Personal::new("ben@contoso.example")],
        ..here.request(1, "11:00", "12:00")?
    };
    if act != Act::Make {
        here.put(&before).await?;
    }
    Ok((here, before, after))
}

/// Does it until it is done, as the queue does.
async fn perform(
    here: &Installation,
    act: Act,
    before: &BookingRequest,
    after: &BookingRequest,
) -> TestResult {
    let mut ended = Err(BookingSystemError::NotReturned);
    for _ in 0..3 {
        ended = match act {
            Act::Make => here.put(before).await.map(drop),
            Act::Change => {
                here.writer().put(&here.invocation, after, &query(before)).await.map(drop)
            }
            Act::Cancel => here.cancel(before).await,
        };
        if ended.is_ok() {
            break;
        }
    }
    Ok(ended?)
}

#[tokio::test]
async fn whichever_call_fails_exactly_one_reservation_is_there_in_the_end() -> TestResult {
    for (act, calls) in [(Act::Make, 4), (Act::Change, 8), (Act::Cancel, 2)] {
        let (here, before, after) = scene(act).await?;
        let earlier = here.network.requests(TOPDESK_HOST);
        perform(&here, act, &before, &after).await?;
        assert_eq!(here.network.requests(TOPDESK_HOST) - earlier, calls, "{act:?}");
        for nth in 1..=calls {
            for moment in [Fault::Before, Fault::After] {
                let (here, before, after) = scene(act).await?;
                here.network.fail_one(TOPDESK_HOST, nth, moment);
                perform(&here, act, &before, &after).await?;
                let all = here.topdesk.reservations();
                assert_eq!(all.len(), 1, "{act:?} {nth} {moment:?}: {all:?}");
                let live = [here.aurora, here.borealis].map(|room| here.topdesk.live(room));
                let [first, second] = live.each_ref().map(Vec::len);
                let expected = match act {
                    Act::Make => (1, 0),
                    Act::Change => (0, 1),
                    Act::Cancel => (0, 0),
                };
                assert_eq!((first, second), expected, "{act:?} {nth} {moment:?}: {live:?}");
                if act == Act::Change {
                    let moved = here.only(here.borealis)?;
                    assert_eq!(moved.start, at("11:00")?);
                    assert_eq!(moved.brief_description.as_deref(), Some("Another"));
                    assert_eq!(moved.participants.len(), 1);
                }
                here.assert_described();
            }
        }
    }
    Ok(())
}
