//! One order at an ACME directory (RFC 8555), from the account to the certificate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error as AcmeError, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rustls::crypto::CryptoProvider;
use serde_json::Value;
use vaxel_core::Clock;

use super::AcmeConfig;
use super::challenge::{self, Challenges, Standing};
use super::http::{self, Http};
use super::store::{Issued, SavedAccount, Store};
use crate::TlsError;

/// Asking whether a validation or a signature is done: soon at first, then less often, and not for longer than this.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// A directory and our account there.
pub(crate) struct Directory {
    config: AcmeConfig,
    http: Http,
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn Clock>,
    account: Mutex<Option<Account>>,
}

impl Directory {
    pub(crate) fn new(
        config: AcmeConfig,
        provider: Arc<CryptoProvider>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let address = config.directory.parse().map_err(directory_error)?;
        http::secure_address(&address).map_err(TlsError::Directory)?;
        let http = Http::new(
            Arc::clone(&provider),
            config.ca.as_deref(),
            Arc::clone(&clock),
        )?;
        Ok(Self {
            config,
            http,
            provider,
            clock,
            account: Mutex::new(None),
        })
    }

    /// Proves that `name` is ours and has a certificate issued for it.
    pub(crate) async fn order(
        &self,
        store: &Store,
        challenges: &Arc<Challenges>,
        name: &str,
    ) -> Result<Issued, TlsError> {
        let identifiers = [Identifier::Dns(name.to_owned())];
        let wanted = NewOrder::new(&identifiers);
        let account = self.account(store).await?;
        let order = match account.new_order(&wanted).await {
            // A private directory that was set up anew: so is our account.
            Err(AcmeError::Api(problem)) if is(&problem, "accountDoesNotExist") => {
                store.forget_account()?;
                *self.kept() = None;
                self.account(store).await?.new_order(&wanted).await
            }
            answer => answer,
        };
        let issued = match order {
            Ok(order) => self.carry_out(order, challenges, name).await,
            Err(error) => Err(order_error(name, error)),
        };
        if matches!(issued, Err(TlsError::Directory(_))) {
            // Its addresses are asked for again when it answers again.
            *self.kept() = None;
        }
        issued
    }

    async fn carry_out(
        &self,
        mut order: Order,
        challenges: &Arc<Challenges>,
        name: &str,
    ) -> Result<Issued, TlsError> {
        let failed = |error| order_error(name, error);
        let standing = self.answer_challenges(&mut order, challenges, name).await?;
        let status = order.poll_ready(&POLLING).await.map_err(failed)?;
        drop(standing);
        if status != OrderStatus::Ready {
            return Err(refused(name, why_invalid(&mut order).await));
        }
        let key_pem = order.finalize().await.map_err(failed)?;
        let chain_pem = order.poll_certificate(&POLLING).await.map_err(failed)?;
        Ok(Issued { chain_pem, key_pem })
    }

    /// Puts up a challenge certificate for each authorization that is still to be proved.
    async fn answer_challenges(
        &self,
        order: &mut Order,
        challenges: &Arc<Challenges>,
        name: &str,
    ) -> Result<Vec<Standing>, TlsError> {
        let failed = |error| order_error(name, error);
        let mut standing = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(failed)?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(refused(name, "the authorization is void".to_owned())),
            }
            let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
                return Err(refused(name, "TLS-ALPN-01 is not offered".to_owned()));
            };
            let digest = challenge.key_authorization().digest();
            let digest = <[u8; 32]>::try_from(digest.as_ref()).map_err(directory_error)?;
            let certificate =
                challenge::certificate(&self.provider, name, &digest, self.clock.now())?;
            standing.push(challenges.show(name, certificate));
            challenge.set_ready().await.map_err(failed)?;
        }
        Ok(standing)
    }

    /// Our account: the one in use, the stored one, or a new one.
    async fn account(&self, store: &Store) -> Result<Account, TlsError> {
        if let Some(account) = self.kept().clone() {
            return Ok(account);
        }
        let contact = self
            .config
            .contact
            .as_ref()
            .map(|to| format!("mailto:{to}"));
        let contacts: Vec<&str> = contact.as_deref().into_iter().collect();
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        let account = match store.account()? {
            Some(saved) => {
                let credentials = saved.credentials.clone();
                let credentials = serde_json::from_value(credentials).map_err(directory_error)?;
                let account = builder
                    .from_credentials(credentials)
                    .await
                    .map_err(directory_error)?;
                if saved.contact != self.config.contact {
                    account
                        .update_contacts(&contacts)
                        .await
                        .map_err(directory_error)?;
                    self.save(store, saved.credentials)?;
                }
                account
            }
            None => {
                let new = NewAccount {
                    contact: &contacts,
                    // The configuration is refused unless the operator agreed.
                    terms_of_service_agreed: true,
                    only_return_existing: false,
                };
                let (account, credentials) = builder
                    .create(&new, self.config.directory.clone(), None)
                    .await
                    .map_err(directory_error)?;
                let credentials = serde_json::to_value(credentials).map_err(directory_error)?;
                self.save(store, credentials)?;
                account
            }
        };
        *self.kept() = Some(account.clone());
        Ok(account)
    }

    fn save(&self, store: &Store, credentials: Value) -> Result<(), TlsError> {
        store.save_account(&SavedAccount::new(self.config.contact.clone(), credentials))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Account>> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the validator saw, in the directory's own words.
async fn why_invalid(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            break;
        };
        let seen = state
            .challenges
            .iter()
            .find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = seen {
            return words(problem);
        }
    }
    "the directory could not validate it and does not say why".to_owned()
}

fn words(problem: &Problem) -> String {
    let text = problem.to_string();
    text.trim_start_matches("API error: ").to_owned()
}

fn is(problem: &Problem, kind: &str) -> bool {
    let kinds = "urn:ietf:params:acme:error:";
    let stated = problem.r#type.as_deref();
    stated.and_then(|stated| stated.strip_prefix(kinds)) == Some(kind)
}

fn directory_error(error: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::Directory(http::chain(&error).into())
}

fn refused(name: &str, why: String) -> TlsError {
    TlsError::Order {
        name: name.to_owned(),
        why,
        later: false,
    }
}

/// Tells what concerns one name from what would happen to any.
fn order_error(name: &str, error: AcmeError) -> TlsError {
    match error {
        AcmeError::Api(problem) if problem.status.is_some_and(|status| status >= 500) => {
            directory_error(problem)
        }
        AcmeError::Api(problem) => TlsError::Order {
            name: name.to_owned(),
            later: is(&problem, "rateLimited"),
            why: words(&problem),
        },
        // A directory that gives no nonce serves nobody.
        AcmeError::Str(what) if what.contains("nonce") => directory_error(error),
        AcmeError::Timeout(_) | AcmeError::Str(_) | AcmeError::Unsupported(_) => {
            refused(name, error.to_string())
        }
        error => directory_error(error),
    }
}
