//! The Functions host's side of the handler: its protocol, and nothing else in the package knows it.
//!
//! The host starts this process, polls `GET /` until any answer comes, and then calls
//! `POST /{FunctionName}` for queues and timers and proxies HTTP requests under `/api/` as they
//! came. Reading order: [`invocation`] (what a function gets and may answer), [`envelope`] (how the
//! host writes it and how we must answer), [`functions`] (the one table of functions),
//! [`server`] (listening).
//!
//! Rules the protocol imposes on the rest of the program:
//! - the process never exits with status 0, or the host never starts it again
//!   (Azure/azure-functions-host, `HttpFunctionInvocationDispatcher`, 2024-10-24);
//! - the host ends it with SIGKILL, so every effect must survive being cut anywhere;
//! - an answer to a queue or timer call is always a JSON object, or the call hangs to its timeout
//!   and takes the process with it.

mod call;
mod canonical_path;
pub mod envelope;
pub mod functions;
pub mod invocation;
pub mod server;
mod unread_body;

pub use functions::{FUNCTIONS, Function, Functions, Trigger};
pub use invocation::{
    InvocationContext, InvocationError, Limits, QueueDelivery, QueueFunction, TimerFunction,
    TimerTick,
};
