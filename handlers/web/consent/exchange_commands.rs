//! The commands an administrator runs in Exchange Online and Microsoft Graph PowerShell, filled in.
//! Everything filled in is an id, or an address in quotes that nothing in it ends, so that no text
//! becomes code.
//!
//! learn.microsoft.com/exchange/permissions-exo/application-rbac, 2025;
//! /powershell/module/exchange/set-calendarprocessing.

use crate::domain::{
    ids::{GroupId, MailboxId},
    tenant::policy::{Registration, ResponseMode, Room},
};
use crate::graph::permissions::{Permission, exchange_roles_of};

/// The name of the scope in Exchange.
const SCOPE: &str = "Roombridge calendars";
/// The name of the scope of the one sender.
const MAIL_SCOPE: &str = "Roombridge mail";

/// `text` as one word of PowerShell: in single quotes nothing is expanded, and only a quote ends it.
/// The typographic ones count as quotes too, and a doubled one means itself
/// (learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_quoting_rules).
fn quote(text: &str) -> String {
    let mut quoted = String::from("'");
    // A line break would end the command, and what follows would be another one.
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '\'' | '\u{2018}'..='\u{201B}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted + "'"
}

/// Makes the app known to Exchange.
fn service_principal_command(app: &str) -> String {
    format!(
        "$sp = Get-MgServicePrincipal -Filter \"AppId eq '{app}'\"\n\
         New-ServicePrincipal -AppId $sp.AppId -ObjectId $sp.Id -DisplayName \"Roombridge\""
    )
}

/// Gives the app access to the calendars of the members of `group`, and tries it with `mailbox`.
pub(super) fn scope_commands(
    app: &str,
    group: Option<GroupId>,
    mailbox: Option<&str>,
) -> Vec<String> {
    let group = group.map_or_else(|| "<object id of the group>".to_owned(), |id| id.to_string());
    let mut commands = vec![
        service_principal_command(app),
        format!(
            "$group = Get-Recipient -Filter \"ExternalDirectoryObjectId -eq '{group}'\"\n\
             New-ManagementScope -Name \"{SCOPE}\" -RecipientRestrictionFilter \"MemberOfGroup -eq '$($group.DistinguishedName)'\""
        ),
    ];
    // Mail has a scope of its own: see `mail_commands`.
    let calendars = exchange_roles_of(Registration::Scoped.into())
        .filter(|role| role.name.contains("Calendars"));
    commands.extend(calendars.map(|role| {
        let name = role.name;
        format!("New-ManagementRoleAssignment -App {app} -Role \"{name}\" -CustomResourceScope \"{SCOPE}\"")
    }));
    let mailbox = mailbox.map_or_else(|| "<address of a mailbox>".to_owned(), quote);
    commands
        .push(format!("Test-ServicePrincipalAuthorization -Identity {app} -Resource {mailbox}"));
    commands
}

/// Lets the app send as `sender`, and as nobody else.
pub(super) fn mail_commands(app: &str, sender: Option<MailboxId>) -> Vec<String> {
    let sender = sender.map_or_else(|| "<object id of the sender>".to_owned(), |id| id.to_string());
    vec![
        service_principal_command(app),
        format!(
            "New-ManagementScope -Name \"{MAIL_SCOPE}\" -RecipientRestrictionFilter \"ExternalDirectoryObjectId -eq '{sender}'\""
        ),
        format!(
            "New-ManagementRoleAssignment -App {app} -Role \"Application Mail.Send\" -CustomResourceScope \"{MAIL_SCOPE}\""
        ),
    ]
}

/// Shows whether only assigned people may sign in to the app `people`.
pub(super) fn assignment_command(people: &str) -> String {
    format!(
        "Get-MgServicePrincipal -Filter \"AppId eq '{people}'\" | Format-List DisplayName, AppRoleAssignmentRequired"
    )
}

/// Grants the app one more permission of Graph in this tenant, which no consent page offers
/// (learn.microsoft.com/graph/permissions-grant-via-msgraph).
pub(super) fn grant_command(app: &str, permission: &Permission) -> String {
    format!(
        "$sp = Get-MgServicePrincipal -Filter \"AppId eq '{app}'\"\n\
         $graph = Get-MgServicePrincipal -Filter \"AppId eq '00000003-0000-0000-c000-000000000000'\"\n\
         New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $sp.Id -PrincipalId $sp.Id \
         -ResourceId $graph.Id -AppRoleId {}",
        permission.id
    )
}

/// Shows how a room answers invitations.
pub(super) fn processing_command(address: &str) -> String {
    let address = quote(address);
    format!(
        "Get-CalendarProcessing -Identity {address} | Format-List AutomateProcessing, DeleteSubject, AddOrganizerToSubject, RemovePrivateProperty, BookingWindowInDays"
    )
}

/// The value that `AutomateProcessing` of the room must have.
pub(super) fn expected_processing(room: &Room) -> &'static str {
    match room.response_mode {
        ResponseMode::ExchangeDecides => "AutoAccept",
        ResponseMode::RoombridgeDecides => "AutoUpdate",
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_commands_are_filled_in_for_both_calendar_roles_and_no_other() {
        let group = GroupId(Uuid::from_u128(5));
        let commands = scope_commands("app-id", Some(group), Some("anna@contoso.example"));
        let text = commands.join("\n");
        assert!(text.contains(&group.to_string()) && !text.contains('<'));
        assert_eq!(text.matches("New-ManagementRoleAssignment").count(), 2);
        assert!(text.contains("\"Application Calendars.Read\" -CustomResourceScope"));
        assert!(text.contains("\"Application Calendars.ReadWrite\" -CustomResourceScope"));
        assert!(!text.contains("Mail.Send"));
        assert!(text.ends_with("-Identity app-id -Resource 'anna@contoso.example'"));
        assert!(
            scope_commands("app-id", None, None).join("\n").contains("<object id of the group>")
        );
    }

    #[test]
    fn no_address_becomes_a_command() {
        for (address, expected) in [
            ("o'neil&calc@x.y", "'o''neil&calc@x.y'"),
            ("$(calc)`\"@x.y", "'$(calc)`\"@x.y'"),
            ("a\u{2019}; calc #@x.y", "'a\u{2019}\u{2019}; calc #@x.y'"),
            ("a@x.y\r\ncalc", "'a@x.ycalc'"),
        ] {
            assert_eq!(quote(address), expected);
            assert!(processing_command(address).contains(&format!("-Identity {expected} |")));
            let tried = scope_commands("app-id", None, Some(address)).join("\n");
            assert!(tried.ends_with(&format!("-Resource {expected}")), "{tried}");
        }
    }

    #[test]
    fn mail_is_one_sender() {
        let sender = MailboxId(Uuid::from_u128(6));
        let text = mail_commands("app-id", Some(sender)).join("\n");
        assert!(text.contains(&format!("-eq '{sender}'")));
        assert!(text.contains("-App app-id -Role \"Application Mail.Send\""));
    }
}
