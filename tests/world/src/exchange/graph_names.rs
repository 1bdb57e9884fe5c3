//! The words Graph has for answers, attendees, privacy and kinds of events (resources/event.md, resources/attendee.md).

/// An answer to a meeting request; the names are those of Graph's `responseType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Response {
    /// No answer yet.
    None,
    /// The organizer's own entry.
    Organizer,
    /// Tentatively accepted.
    TentativelyAccepted,
    /// Accepted.
    Accepted,
    /// Declined.
    Declined,
    /// Received, not answered.
    NotResponded,
}

impl Response {
    /// Graph's word for it.
    pub fn as_graph_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Organizer => "organizer",
            Self::TentativelyAccepted => "tentativelyAccepted",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::NotResponded => "notResponded",
        }
    }
}

/// How an attendee was invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Required.
    Required,
    /// Optional.
    Optional,
    /// A room or other resource.
    Resource,
}

impl Role {
    /// Graph's `attendeeType`.
    pub fn as_graph_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::Resource => "resource",
        }
    }
}

/// How private a meeting is; Graph's `sensitivity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// Not private.
    Normal,
    /// Personal.
    Personal,
    /// Private.
    Private,
    /// Confidential.
    Confidential,
}

impl Sensitivity {
    /// Graph's word for it.
    pub fn as_graph_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Personal => "personal",
            Self::Private => "private",
            Self::Confidential => "confidential",
        }
    }
}

/// Graph's `eventType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// Not part of a series.
    SingleInstance,
    /// The series itself.
    SeriesMaster,
    /// One unchanged instance of a series.
    Occurrence,
    /// One changed instance of a series.
    Exception,
}

impl EventType {
    /// Graph's word for it.
    pub fn as_graph_str(self) -> &'static str {
        match self {
            Self::SingleInstance => "singleInstance",
            Self::SeriesMaster => "seriesMaster",
            Self::Occurrence => "occurrence",
            Self::Exception => "exception",
        }
    }
}
