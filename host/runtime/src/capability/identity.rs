//! Identity: who calls, and names of people in the same tenant.

use std::sync::Arc;

use super::bindings::vaxel::identity::identity::{Caller, Host, Profile};
use crate::directory::Person;
use crate::guest::{Context, Guest, Reply, Stop, guest_error, parsed_user};
use crate::manifest::Cap;

/// Most people that one host call answers.
const PEOPLE_MAX: usize = 200;

impl Host for Guest {
    fn current(&mut self) -> wasmtime::Result<Caller> {
        self.usage.count(Cap::Identity);
        let Some(context) = self.context.as_ref() else {
            return Ok(Caller {
                user: None,
                admin: false,
                assurance: "anonymous".to_owned(),
                locale: String::new(),
                request_id: String::new(),
            });
        };
        Ok(Caller {
            user: context.caller.user.map(|user| user.to_string()),
            admin: context.caller.admin,
            assurance: context.caller.assurance.clone(),
            locale: context.cx.locale.as_str().to_owned(),
            request_id: context.cx.request.to_string(),
        })
    }

    fn has_permission(&mut self, permission: String) -> wasmtime::Result<bool> {
        self.usage.count(Cap::Identity);
        let context = self.context.as_ref();
        Ok(context.is_some_and(|context| context.plugin.permits(&context.caller, &permission)))
    }

    fn profiles(&mut self, users: Vec<String>) -> Reply<Vec<Option<Profile>>> {
        if users.len() > PEOPLE_MAX {
            return Ok(Err(guest_error("limit", "at most 200 users at once")));
        }
        self.with_people(users.len(), |context| {
            let mut found = Vec::with_capacity(users.len());
            for user in &users {
                // What is no id is nobody.
                let person = match parsed_user(user) {
                    Ok(user) => context.directory.person(context.tenant(), user)?,
                    Err(_) => None,
                };
                found.push(person.map(profile));
            }
            Ok(found)
        })
    }

    fn members(&mut self, after: Option<String>, limit: u32) -> Reply<Vec<Profile>> {
        let after = match after.as_deref().map(parsed_user).transpose() {
            Ok(after) => after,
            Err(error) => return Ok(Err(error)),
        };
        let limit = usize::try_from(limit).unwrap_or(PEOPLE_MAX).min(PEOPLE_MAX);
        if limit == 0 {
            return Ok(Ok(Vec::new()));
        }
        self.with_people(1, |context| {
            let people = context.directory.people(context.tenant(), after, limit)?;
            Ok(people.into_iter().map(profile).collect())
        })
    }
}

impl Guest {
    fn with_people<T>(
        &mut self,
        ops: usize,
        look: impl FnOnce(&Context) -> Result<T, vaxel_core::Problem>,
    ) -> Reply<T> {
        self.usage.count(Cap::Identity);
        self.ops = self.ops.saturating_add(ops);
        if self.ops > self.limits.storage_ops {
            return Ok(Err(guest_error("limit", "too many operations in one call")));
        }
        let Some(context) = self.context.as_ref().map(Arc::clone) else {
            return Ok(Err(guest_error("unavailable", "there is no tenant here")));
        };
        match look(&context) {
            Ok(found) => Ok(Ok(found)),
            Err(problem) => Err(self.end(Stop::Host(problem))),
        }
    }
}

fn profile(person: Person) -> Profile {
    Profile {
        id: person.id.to_string(),
        display_name: person.display_name,
        active: person.active,
    }
}
