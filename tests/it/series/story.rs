//! One line of the table: what is in the calendars, what happens, and what is booked and answered then.

use jiff::SignedDuration;
use roombridge::domain::mailbox::BookingDisposition;
use roombridge::domain::tenant::TenantPolicy;
use world::exchange::{ExchangeError, RoomRules};

use super::office::Office;
use crate::contoso::{ContosoBuilder, hours};

/// What somebody does in Outlook.
pub(super) type Deed = fn(&mut Office) -> Result<(), ExchangeError>;

/// One thing that happens.
pub(super) enum Step {
    Outlook(Deed),
    /// Nothing but time.
    Passes(SignedDuration),
    /// Anna withdraws.
    AnnaWithdraws(BookingDisposition),
    /// Anna has everything about herself deleted.
    AnnaIsErased(BookingDisposition),
    Policy(fn(&mut TenantPolicy)),
}

/// A story, readable by whom it concerns: the texts are the line of the table, the rest plays it.
pub(super) struct Story {
    pub(super) given: &'static str,
    pub(super) when: &'static str,
    pub(super) then: &'static str,
    /// What differs from the usual Contoso.
    pub(super) office: fn(ContosoBuilder) -> ContosoBuilder,
    pub(super) steps: Vec<Step>,
    /// What is taken of each room that is not over, and by whom; see [`Office::taken`].
    pub(super) aurora: Vec<&'static str>,
    pub(super) borealis: Vec<&'static str>,
    /// How often Aurora has accepted and declined, all in all.
    pub(super) answers: Option<(usize, usize)>,
    /// What our property about Aurora says on the organizer's copy of the newest series.
    pub(super) property: Option<&'static str>,
    /// Whether nothing at all may be left of it.
    pub(super) leaves_nothing: bool,
}

impl Story {
    /// What there is at first, and how it came about.
    pub(super) fn given(text: &'static str, deed: Deed) -> Self {
        Self {
            given: text,
            when: "",
            then: "",
            office: |office| office,
            steps: vec![Step::Outlook(deed)],
            aurora: Vec::new(),
            borealis: Vec::new(),
            answers: None,
            property: None,
            leaves_nothing: false,
        }
    }

    /// What happens then.
    pub(super) fn when(self, text: &'static str, deed: Deed) -> Self {
        Self { when: text, ..self }.then_also(deed)
    }

    /// The same, where it does not happen in Outlook.
    pub(super) fn when_step(mut self, text: &'static str, step: Step) -> Self {
        self.steps.push(step);
        Self { when: text, ..self }
    }

    /// One more thing that happens after the rest.
    pub(super) fn then_also(mut self, deed: Deed) -> Self {
        self.steps.push(Step::Outlook(deed));
        self
    }

    /// Days pass.
    pub(super) fn days_pass(mut self, days: i64) -> Self {
        self.steps.push(Step::Passes(hours(24 * days)));
        self
    }

    /// What comes of it.
    pub(super) fn then(self, text: &'static str) -> Self {
        Self { then: text, ..self }
    }

    pub(super) fn aurora(self, taken: &[&'static str]) -> Self {
        Self { aurora: taken.to_vec(), ..self }
    }

    pub(super) fn borealis(self, taken: &[&'static str]) -> Self {
        Self { borealis: taken.to_vec(), ..self }
    }

    /// Aurora's answers.
    pub(super) fn answers(self, accepted: usize, declined: usize) -> Self {
        Self { answers: Some((accepted, declined)), ..self }
    }

    /// What the organizer's copy says: the outcome, of how many dates, and how many were refused.
    pub(super) fn organizer_reads(self, property: &'static str) -> Self {
        Self { property: Some(property), ..self }
    }

    pub(super) fn nothing_is_left(self) -> Self {
        Self { leaves_nothing: true, ..self }
    }

    pub(super) fn office(self, office: fn(ContosoBuilder) -> ContosoBuilder) -> Self {
        Self { office, ..self }
    }
}

/// A room that takes a series though it conflicts on two dates of ten.
pub(super) fn lenient(office: ContosoBuilder) -> ContosoBuilder {
    let rules = RoomRules { conflicts_allowed: 5, conflict_percentage: 50, ..RoomRules::default() };
    office.room_rules(rules)
}
