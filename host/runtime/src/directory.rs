//! The narrow view of people that plugins get: the same tenant only, names and nothing more.

use std::future::Future;
use std::pin::Pin;

use vaxel_core::{OpCx, PluginId, Problem, TenantId, UserId};
use vaxel_crypto::Secret;
use vaxel_identity::{Binding, Identity, Proof, Ticket, TicketSpending, User};

/// A proof of step-up as it came with a call: unspent, and perhaps none.
#[derive(Clone, Debug)]
pub struct ShownProof {
    /// What stands for it.
    pub token: Secret<String>,
    /// Where the call came from.
    pub binding: Binding,
}

/// What spending a proof answers, when it is done.
pub type Spending<'a> = Pin<Box<dyn Future<Output = Result<Option<Proof>, Problem>> + Send + 'a>>;

/// What closing a purpose answers, when it is done.
pub type Closing<'a> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;

/// What a plugin may know of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: UserId,
    /// What others call them.
    pub display_name: String,
    /// Whether they may sign in.
    pub active: bool,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Where the runtime looks people up.
pub trait Directory: Send + Sync + 'static {
    /// All tenants there are.
    fn tenants(&self) -> Vec<TenantId>;

    /// The person with this id in this tenant.
    fn person(&self, tenant: TenantId, user: UserId) -> Result<Option<Person>, Problem>;

    /// People by id, behind `after`.
    fn people(
        &self,
        tenant: TenantId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Person>, Problem>;

    /// Spends a proof, durably, whatever becomes of the call; none if it was not one for this, which is also what a
    /// directory without step-up answers.
    fn spend_proof<'a>(
        &'a self,
        _tenant: TenantId,
        _plugin: &'a PluginId,
        _purpose: &'a str,
        _shown: &'a ShownProof,
    ) -> Spending<'a> {
        Box::pin(async { Ok(None) })
    }

    /// A ticket that was signed for this purpose, to be spent with what the call writes.
    fn ticket(
        &self,
        _tenant: TenantId,
        _plugin: &PluginId,
        _purpose: &str,
        _ticket: &Ticket,
    ) -> Result<Option<TicketSpending>, Problem> {
        Ok(None)
    }

    /// Closes a purpose for ever. A directory without step-up has none.
    fn close_purpose<'a>(
        &'a self,
        _cx: &'a OpCx,
        _plugin: &'a PluginId,
        _purpose: &'a str,
    ) -> Closing<'a> {
        Box::pin(async { Ok(()) })
    }
}

impl Directory for Identity {
    fn tenants(&self) -> Vec<TenantId> {
        let tenants = Self::tenants(self);
        tenants.iter().map(|tenant| tenant.id).collect()
    }

    fn person(&self, tenant: TenantId, user: UserId) -> Result<Option<Person>, Problem> {
        let found = self.user(tenant, user).map_err(|error| error.problem())?;
        Ok(found.map(person))
    }

    fn people(
        &self,
        tenant: TenantId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Person>, Problem> {
        let page = self
            .users(tenant, None, after, limit)
            .map_err(|error| error.problem())?;
        Ok(page.items.into_iter().map(person).collect())
    }

    fn spend_proof<'a>(
        &'a self,
        tenant: TenantId,
        plugin: &'a PluginId,
        purpose: &'a str,
        shown: &'a ShownProof,
    ) -> Spending<'a> {
        Box::pin(async move {
            let ShownProof { token, binding } = shown;
            Self::spend_proof(self, tenant, plugin, purpose, token.expose(), *binding)
                .await
                .map_err(|error| error.problem())
        })
    }

    fn ticket(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        ticket: &Ticket,
    ) -> Result<Option<TicketSpending>, Problem> {
        Self::ticket(self, tenant, plugin, purpose, ticket).map_err(|error| error.problem())
    }

    fn close_purpose<'a>(
        &'a self,
        cx: &'a OpCx,
        plugin: &'a PluginId,
        purpose: &'a str,
    ) -> Closing<'a> {
        Box::pin(async move {
            Self::close_purpose(self, cx, plugin, purpose)
                .await
                .map_err(|error| error.problem())
        })
    }
}

fn person(user: User) -> Person {
    Person {
        id: user.id,
        display_name: user.display_name,
        active: user.active,
    }
}
