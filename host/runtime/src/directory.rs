//! The narrow view of people that plugins get: the same tenant only, names and nothing more.

use vaxel_core::{Problem, TenantId, UserId};
use vaxel_identity::{Identity, User};

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
}

fn person(user: User) -> Person {
    Person {
        id: user.id,
        display_name: user.display_name,
        active: user.active,
    }
}
