//! The Functions host, simulated: what it sends, what it accepts, and what it does with the process.
//!
//! Strict where the real one is strict. Written from Azure/azure-functions-host 4.1037.0
//! (2024-10-24), azure-webjobs-sdk, and the storage queue extension in azure-sdk-for-net; each part
//! names the fact it implements. Reading order: `app` and `function_json` (the app's files),
//! [`FunctionsHost`], `envelope` (the calls), `invocation` (judging answers), `listener` (queues),
//! `timers`, `http_proxy`, [`process`] (the handler's life), `transport`.
//!
//! Two ways to use it:
//! - over sockets: [`FunctionsHost::start`] runs the handler as a child process,
//!   [`FunctionsHost::listen`] polls queues and follows schedules in the background, and
//!   [`FunctionsHost::http_router`] is what the outside reaches;
//! - in process, in virtual time: [`FunctionsHost::in_process`] calls the handler's router, and the
//!   test moves on with [`FunctionsHost::process_all`] and [`FunctionsHost::run_due_timers`].

mod app;
mod azure_queues;
mod envelope;
mod function_json;
mod functions_host;
mod http_proxy;
mod invocation;
mod listener;
mod log;
mod memory_queues;
pub mod ncrontab;
pub mod process;
mod queues;
mod timers;
mod transport;

#[cfg(test)]
mod tests;

pub use app::{AppError, FunctionApp, HostSettings, QueueSettings};
pub use azure_queues::AzureQueues;
pub use function_json::{FixedDelay, FunctionFile, TriggerFile};
pub use functions_host::{FunctionsHost, StartOptions};
pub use invocation::InvocationResult;
pub use listener::{DequeuedMessage, Disposition, Listener, RunReport};
pub use log::{HostLog, Level, Line, Sink};
pub use memory_queues::MemoryQueues;
pub use queues::{HostMessage, HostQueueError, HostQueues};
pub use timers::NoSuchTimer;
pub use transport::{
    HandlerTransport, LossyTransport, RouterTransport, SocketTransport, TransportError,
};
