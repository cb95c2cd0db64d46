//! What the command line and the running feeder say to each other over the administration socket: one type per command,
//! posted as JSON to `/COMMAND`, and the type of its answer. A refusal is any status but 200, with an [`Error`].
//!
//! Both sides have these types from here, so neither can misread the other. Tokens travel in [`CreatedToken`] alone, which
//! has no `Debug` for that reason.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::Rule;
use crate::config::{BindingForm, Desired, ExtensionForm, PinForm};

/// A command, and what comes back when it was done.
pub trait Command: Serialize + DeserializeOwned + Send + 'static {
    /// Where it is posted.
    const PATH: &'static str;
    /// What the feeder says when it has done it.
    type Answer: Serialize + DeserializeOwned + Send + 'static;
}

/// The body of every refusal.
#[derive(Debug, Serialize, Deserialize)]
pub struct Error {
    /// For people: what was refused and why.
    pub error: String,
}

/// The revision at which a command took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The newest durable revision when the command was done.
    pub revision: u64,
}

/// Makes a tenant, with its first binding if one is given.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreateTenant {
    /// Its name.
    pub name: String,
    /// Its first binding.
    pub binding: Option<BindingForm>,
}

impl Command for CreateTenant {
    const PATH: &'static str = "/tenant/create";
    type Answer = Done;
}

/// Lists every tenant, or the one named.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListTenants {
    /// Only this one.
    pub name: Option<String>,
}

impl Command for ListTenants {
    const PATH: &'static str = "/tenant/list";
    type Answer = Vec<TenantRow>;
}

/// A tenant in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRow {
    /// Its name.
    pub name: String,
    /// How many users it has, active or not.
    pub users: usize,
    /// How many groups.
    pub groups: usize,
    /// How many bindings.
    pub bindings: usize,
    /// How many tokens, expired ones included.
    pub tokens: usize,
    /// How it is frozen, if it is: the numbers above are of what is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenRow>,
}

/// How a tenant is frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenRow {
    /// The last revision of which its filters have everything.
    pub revision: u64,
    /// Since when: RFC 3339.
    pub since: String,
    /// What was published could not be read again: nobody is.
    pub lost: bool,
}

/// Writes all that the feeder has into a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Backup {
    /// Where to: an absolute path, of a file that is not there.
    pub file: PathBuf,
}

impl Command for Backup {
    const PATH: &'static str = "/backup";
    type Answer = BackedUp;
}

/// What a [`Backup`] wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Of the history that it is of.
    pub generation: u64,
    /// The newest change in it.
    pub revision: u64,
    /// Its size.
    pub bytes: u64,
}

/// Holds back whatever changes in a tenant from now on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Freeze {
    /// Which.
    pub tenant: String,
}

impl Command for Freeze {
    const PATH: &'static str = "/freeze";
    type Answer = FrozenRow;
}

/// Publishes what was held back, or shows what that would do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unfreeze {
    /// Of which tenant.
    pub tenant: String,
    /// False: only show it.
    pub really: bool,
}

impl Command for Unfreeze {
    const PATH: &'static str = "/unfreeze";
    type Answer = Unfrozen;
}

/// What an [`Unfreeze`] changes, by what proxies ask for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfrozen {
    /// How it was frozen.
    pub frozen: FrozenRow,
    /// Scopes of the tenant that proxies follow now; terms of no others are counted.
    pub scopes: usize,
    /// The terms that somebody gains or loses, or that resolve otherwise.
    pub terms: Vec<TermShift>,
    /// At which it was done; none: it was only shown.
    pub revision: Option<u64>,
}

/// What becomes of one term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermShift {
    /// As policies write it; `active` for being known as an active user at all.
    pub term: String,
    /// How many users get it.
    pub gain: usize,
    /// How many users lose it.
    pub lose: usize,
    /// What it resolves to as long as the tenant is frozen: `found`, `missing` or `ambiguous`.
    pub from: String,
    /// And then.
    pub to: String,
}

/// Deletes a tenant with all that is its own.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteTenant {
    /// Its name.
    pub name: String,
}

impl Command for DeleteTenant {
    const PATH: &'static str = "/tenant/delete";
    type Answer = DeletedTenant;
}

/// What went with a deleted tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTenant {
    /// What it had.
    pub had: TenantRow,
    /// When it took effect.
    pub revision: u64,
}

/// Sets the binding of a tenant for one issuer or trust domain, in place of a former one.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetBinding {
    /// Whose.
    pub tenant: String,
    /// Which.
    pub binding: BindingForm,
}

impl Command for SetBinding {
    const PATH: &'static str = "/binding/set";
    type Answer = Done;
}

/// Lists a tenant's bindings.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListBindings {
    /// Whose.
    pub tenant: String,
    /// Only that of this issuer.
    pub issuer: Option<String>,
    /// Only that of this trust domain.
    pub trust_domain: Option<String>,
    /// Only those with this pin.
    pub pin: Option<PinForm>,
}

impl Command for ListBindings {
    const PATH: &'static str = "/binding/list";
    type Answer = Vec<BindingForm>;
}

/// Removes of a tenant's bindings those that [`ListBindings`] with the same fields lists.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemoveBindings {
    /// Whose.
    pub tenant: String,
    /// Only that of this issuer.
    pub issuer: Option<String>,
    /// Only that of this trust domain.
    pub trust_domain: Option<String>,
    /// Only those with this pin.
    pub pin: Option<PinForm>,
}

impl Command for RemoveBindings {
    const PATH: &'static str = "/binding/remove";
    type Answer = RemovedBindings;
}

/// What a [`RemoveBindings`] removed: at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedBindings {
    /// Which they were.
    pub removed: Vec<BindingForm>,
    /// When it took effect.
    pub revision: u64,
}

/// Lists the names that a user of the tenant has, and that mean nobody because they are held.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListHolds {
    /// Whose.
    pub tenant: String,
}

impl Command for ListHolds {
    const PATH: &'static str = "/hold/list";
    type Answer = Vec<HoldRow>;
}

/// A held name in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// `userName` or `emails.value`.
    pub attribute: String,
    /// The name as it was lost.
    pub value: String,
    /// The SCIM id of who has it now, in this spelling or another.
    pub user: Uuid,
    /// When it was lost: RFC 3339.
    pub lost: String,
    /// Until when it is held: RFC 3339.
    pub until: String,
}

/// Ends the hold of a name, in every spelling.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndHold {
    /// Whose.
    pub tenant: String,
    /// `userName` or `emails.value`.
    pub attribute: String,
    /// The name.
    pub value: String,
}

impl Command for EndHold {
    const PATH: &'static str = "/hold/release";
    type Answer = Done;
}

/// Makes a schema an extension of a tenant's resources, in place of the one that has its URN.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetExtension {
    /// Whose.
    pub tenant: String,
    /// Which.
    pub extension: ExtensionForm,
}

impl Command for SetExtension {
    const PATH: &'static str = "/extension/set";
    type Answer = ExtensionSet;
}

/// What a [`SetExtension`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionSet {
    /// False: it was so already.
    pub changed: bool,
}

/// Lists the schemas that a tenant defines.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListExtensions {
    /// Whose.
    pub tenant: String,
}

impl Command for ListExtensions {
    const PATH: &'static str = "/extension/list";
    type Answer = Vec<ExtensionForm>;
}

/// Removes a schema that a tenant defines, unless resources have values under it.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemoveExtension {
    /// Whose.
    pub tenant: String,
    /// The schema's URN.
    pub urn: String,
}

impl Command for RemoveExtension {
    const PATH: &'static str = "/extension/remove";
    type Answer = ExtensionRemoved;
}

/// What a [`RemoveExtension`] removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionRemoved {
    /// Its URN, as it was spelled.
    pub urn: String,
}

/// Makes a token for SCIM clients.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreateToken {
    /// Whose resources it opens.
    pub tenant: String,
    /// For how long; none: until it is revoked.
    pub lifetime_seconds: Option<u64>,
}

impl Command for CreateToken {
    const PATH: &'static str = "/token/create";
    type Answer = CreatedToken;
}

/// The only sight of a token.
#[derive(Serialize, Deserialize)]
pub struct CreatedToken {
    /// What it is listed and revoked by.
    pub id: String,
    /// The secret.
    pub token: String,
    /// RFC 3339; none: never.
    pub expires: Option<String>,
}

/// Lists a tenant's tokens, the oldest first.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListTokens {
    /// Whose.
    pub tenant: String,
}

impl Command for ListTokens {
    const PATH: &'static str = "/token/list";
    type Answer = Vec<TokenRow>;
}

/// A token in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// What it is revoked by.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// RFC 3339; none: never.
    pub expires: Option<String>,
    /// Whether that time has come.
    pub expired: bool,
}

/// Revokes a token: the next request with it is refused.
#[derive(Debug, Serialize, Deserialize)]
pub struct RevokeToken {
    /// Whose.
    pub tenant: String,
    /// Its id.
    pub id: String,
}

impl Command for RevokeToken {
    const PATH: &'static str = "/token/revoke";
    type Answer = Done;
}

/// Brings tenants and bindings to what a file says, in one commit.
#[derive(Debug, Serialize, Deserialize)]
pub struct Apply {
    /// What the file says.
    pub desired: Desired,
    /// Whether tenants that it does not name are deleted.
    pub prune: bool,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

impl Command for Apply {
    const PATH: &'static str = "/apply";
    type Answer = Applied;
}

/// What an [`Apply`] changed, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// In the order in which they were made; empty: everything was so already.
    pub changes: Vec<Change>,
    /// When they took effect.
    pub revision: u64,
}

/// One thing that an [`Apply`] changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "change",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Change {
    /// A tenant that was not there.
    TenantCreated {
        /// Its name.
        tenant: String,
    },
    /// A tenant that the file does not name.
    TenantDeleted {
        /// Its name.
        tenant: String,
    },
    /// A binding that was not there, or was another.
    BindingSet {
        /// Whose.
        tenant: String,
        /// What it is now.
        binding: BindingForm,
    },
    /// A binding that the file does not have.
    BindingRemoved {
        /// Whose.
        tenant: String,
        /// For which issuer, if it was one for tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
        /// For which trust domain, if it was one for workloads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trust_domain: Option<String>,
    },
    /// A schema that was not there, or was another.
    ExtensionSet {
        /// Whose.
        tenant: String,
        /// Its URN.
        urn: String,
    },
    /// A schema that the file does not have.
    ExtensionRemoved {
        /// Whose.
        tenant: String,
        /// Its URN.
        urn: String,
    },
    /// A rule of who may follow the feed that was not there.
    FeedAccessAdded {
        /// Which.
        rule: Rule,
    },
    /// A rule of who may follow the feed that the file does not have.
    FeedAccessRemoved {
        /// Which.
        rule: Rule,
    },
}

/// A tenant's directory as JSON lines (`admin::dump`). Its answer is no JSON document, so it is no [`Command`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Dump {
    /// Whose.
    pub tenant: String,
}

impl Dump {
    /// Where it is posted.
    pub const PATH: &'static str = "/dump";
}
