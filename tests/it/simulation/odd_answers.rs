//! Answers of Graph and Entra that no document gives, and people have seen.

use jiff::SignedDuration;
use world::entra::TokenRefusal;
use world::exchange::Oddities;
use world::fault_injection::Fault;
use world::graph::{FaultOutcome, RequestFault};

use super::operations::{GraphOperation, Op};
use super::run::SimulationRun;

/// Status and body of answers that make no sense.
const NONSENSE: [(u16, &str); 5] =
    [(200, r#"{"id":"#), (200, "<html>"), (404, ""), (400, ""), (502, "<html>")];
/// Status and code of the read of an event that is gone. A 404 without a code is waited for where nothing
/// is known of the event, for longer than a run lasts.
const GONE: [(u16, &str); 4] = [
    (404, "SomethingElse"),
    (410, "Gone"),
    (400, "ErrorInvalidMailboxItemId"),
    (400, "ErrorInvalidIdMalformed"),
];
/// The ways in which our own credential is refused.
const REFUSALS: [TokenRefusal; 5] = [
    TokenRefusal::AssertionExpired,
    TokenRefusal::FederationMissing,
    TokenRefusal::InvalidRequest,
    TokenRefusal::WithoutNumber,
    TokenRefusal::Proxy,
];
const NOT_FOUND: &str = r#"{"error":{"code":"ErrorItemNotFound","message":"It is not there."}}"#;

impl SimulationRun {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    pub(super) async fn answer_oddly(&mut self, op: Op) {
        let (graph, entra) = (&self.world.microsoft.graph, &self.world.microsoft.entra);
        match op {
            Op::Nonsense { operation, after, body } => {
                let (status, body) = NONSENSE[usize::from(body) % NONSENSE.len()];
                let moment = if after { Fault::After } else { Fault::Before };
                self.plan(operation, 1, moment, FaultOutcome::Raw(status, body));
            }
            Op::MissWrites { operation, times } => {
                for nth in 1..=times.into() {
                    self.plan(operation, nth, Fault::Before, FaultOutcome::Raw(404, NOT_FOUND));
                }
            }
            Op::SayGone { word } => {
                let (status, code) = GONE[usize::from(word) % GONE.len()];
                graph.set_missing_event(status, code);
            }
            Op::ShowOddly { nulls, bracketed, legacy } => {
                let [nulls, bracketed, legacy] = [nulls, bracketed, legacy].map(u64::from);
                let oddities = Oddities { nulls, bracketed, legacy };
                self.world.microsoft.exchange.set_oddities(oddities);
            }
            Op::ServeDeleted => graph.set_serves_deleted(true),
            Op::RefuseCredential { way, minutes } => {
                entra.refuse_tokens(Some(REFUSALS[usize::from(way) % REFUSALS.len()]));
                self.run_for(SignedDuration::from_mins(minutes.into())).await;
                self.world.microsoft.entra.refuse_tokens(None);
            }
            _ => {}
        }
    }

    pub(super) fn plan(
        &self,
        operation: GraphOperation,
        nth: u32,
        moment: Fault,
        outcome: FaultOutcome,
    ) {
        let (method, template) = operation.request();
        let fault = RequestFault { method, template, nth, moment, outcome };
        self.world.microsoft.graph.plan_fault(fault);
    }
}
