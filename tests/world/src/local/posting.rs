//! What a person can post to while the world is kept running.

use super::{Addresses, World};

/// The addresses, and commands that work.
pub(super) fn guide(world: &World) -> String {
    let Addresses { front, webhook, graph, authority, vault, identity, queues, tables, ca } =
        &world.addresses;
    let ca = ca.display();
    let foreign = r#"{"value":[{"subscriptionId":"00000000-0000-4000-8000-000000000000","clientState":"not-ours","changeType":"updated","resource":"users/a/events/b","resourceData":{"id":"b"}}]}"#;
    format!(
        r#"Everything keeps running, and the handler takes what is posted:

  the app           {front}
  webhook           {webhook}
  Graph             {graph}
  token endpoint    {authority}
  key vault         {vault}
  managed identity  {identity}
  queues            {queues}
  tables            {tables}
  certificate       {ca}

The handshake; answers 200 and the token, decoded:
  curl --cacert {ca} -i -X POST -H 'Content-Length: 0' '{webhook}?validationToken=hello%20there'

Not a notification; answers 400:
  curl --cacert {ca} -i -d 'hello' '{webhook}'

A notification that does not prove itself; answers 202 and is dropped:
  curl --cacert {ca} -i -H 'Content-Type: application/json' -d '{foreign}' '{webhook}'

Ctrl-C stops the handler, the storage emulator and all listeners."#
    )
}
