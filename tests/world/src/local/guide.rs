//! What a person can open and post to while the world is kept running.

use super::{Addresses, LocalWorld};

/// What to open and in which order, the addresses, and commands that work.
pub(super) fn guide(world: &LocalWorld) -> String {
    let anna = world.invited.anna.address();
    format!("{}\n\n{}", walkthrough(&world.addresses, anna), commands(&world.addresses))
}

/// The whole way of an organisation in a browser. `anna` is the address of the one who agrees.
fn walkthrough(at: &Addresses, anna: &str) -> String {
    let Addresses { app: front, outlook, authority, ca, .. } = at;
    let ca = ca.display();
    format!(
        r#"Everything keeps running. Contoso has not connected yet; walk through it in a browser:

  the administrator's page  {front}/api/consent
  the employees' page       {front}/api/my-calendar
  the simulated Outlook     {outlook}/

The browser warns about the certificate, as its authority was made for this run. Go past the warning
once for each address (the app, Outlook, and {authority} where you sign in), or import this
file as an authority, in a profile that you throw away afterwards:
  {ca}

Nobody has a password: the sign-in page asks whom you want to be. To be somebody else, sign out first
or open a private window.

  1. Refuse. On the administrator's page, connect as Ada of Contoso, and cancel where Entra asks for
     the permissions: the page says what happened, and nothing is stored.
  2. Be turned away. Try Fay of Fabrikam, an administrator whose organisation is not invited; then
     Ben of Contoso, who is not an administrator.
  3. Connect. Sign in as Ada, choose "Organisation-wide" (the scoped way needs commands in Exchange,
     which has no command line here), and accept as Ada.
  4. Make Aurora and Borealis managed rooms. Roombridge can answer for Aurora; Exchange answers for
     Borealis by itself, and Roombridge follows.
  5. Agree. On the employees' page, sign in as Anna of Contoso, and tick the box.
  6. Post a meeting. Open {outlook}/{anna}, choose "New meeting", an hour
     and a room, and send it.
  7. Watch. Anna's calendar refreshes itself: the room's answer appears, and Roombridge's own
     note beside it. Let her want Aurora at that time once more. Move a meeting, cancel one.
     Send one that repeats, and move, cancel or change the room of one date, or of all of them.
     The employees' page shows what is stored about Anna now.
  8. Withdraw. As Anna on the employees' page; release her rooms, and see them decline. What she
     plans next is booked without her name, from the room's own calendar.
  9. Disconnect. As Ada on the administrator's page: what is left is the record of the consent."#
    )
}

/// The addresses of everything, and what to post.
fn commands(at: &Addresses) -> String {
    let Addresses {
        app: front,
        webhook,
        graph,
        authority,
        outlook,
        librebooking,
        vault,
        identity,
        queues,
        tables,
        ca,
        own_system,
    } = at;
    let own_system = own_system.as_deref().unwrap_or("the built-in one; --system starts another");
    let ca = ca.display();
    let foreign = r#"{"value":[{"subscriptionId":"00000000-0000-4000-8000-000000000000","clientState":"not-ours","changeType":"updated","resource":"users/a/events/b","resourceData":{"id":"b"}}]}"#;
    format!(
        r#"The handler takes what is posted, too:

  the app           {front}
  webhook           {webhook}
  Graph             {graph}
  Entra             {authority}
  Outlook           {outlook}
  LibreBooking      {librebooking}
  key vault         {vault}
  managed identity  {identity}
  queues            {queues}
  tables            {tables}
  booking system    {own_system}
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
