//! Why the guard stopped a request: the rule that it broke.

/// A request was stopped before it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guard stopped a request to Graph: {0}")]
pub struct Violation(pub Rule);

/// The rule that a request broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// It leaves the Graph base address.
    #[error("it leaves the base address")]
    Address,
    /// Its method and path are none of those we make.
    #[error("no such request is ours")]
    Unknown,
    /// It has an option that is not on the list, or one twice.
    #[error("an option is not on the list")]
    Option,
    /// It reads a calendar without choosing fields, or chooses one that is not on the list.
    #[error("a field is not on the list")]
    Field,
    /// It expands something else than one extended property.
    #[error("an expansion is not on the list")]
    Expansion,
    /// It names an extended property that is not ours to read or write.
    #[error("an extended property is not on the list")]
    Property,
    /// Its body holds something that is not on the list.
    #[error("the body is not on the list")]
    Body,
    /// It subscribes to something else than the events of one mailbox.
    #[error("a subscription is for the events of one mailbox")]
    Resource,
}
