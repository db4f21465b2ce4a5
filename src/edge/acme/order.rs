//! One order, from the account to the certificate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::edge::acme::{Keeper, storage};

/// How long a server may take to look at the proofs, and again to make the certificate.
const SERVER_WITHIN: Duration = Duration::from_secs(120);

/// A certificate with its chain and its key in PEM form. `failures`: how often it was tried in vain.
pub(super) async fn order(
    keeper: &Keeper,
    failures: u32,
    replaces: Option<CertificateIdentifier<'static>>,
) -> anyhow::Result<String> {
    let account = account(keeper).await?;
    let names = keeper.settings.domains.iter().cloned().map(Identifier::Dns).collect::<Vec<_>>();
    let mut order = match begin(&account, &names, replaces).await {
        Ok(order) => order,
        Err(why) => {
            if is_forgotten(&why) {
                storage::forget_account(&keeper.files, &keeper.settings);
            }
            return Err(explained(why));
        }
    };
    let mut shown = Shown { keeper, tokens: Vec::new(), names: Vec::new() };
    prove(&mut order, &mut shown, kind(keeper, failures)).await?;
    let retries = RetryPolicy::new().timeout(SERVER_WITHIN);
    let status = match order.poll_ready(&retries).await {
        Ok(status) => status,
        // Of an order it says less than of its parts.
        Err(why) => match refusals(&mut order).await {
            Some(refusals) => bail!("{refusals}"),
            None => return Err(explained(why)),
        },
    };
    if status != OrderStatus::Ready {
        let refusals = refusals(&mut order).await;
        bail!("{}", refusals.unwrap_or_else(|| "the server refused the order".to_owned()));
    }
    let key = order.finalize().await.map_err(explained)?;
    let chain = order.poll_certificate(&retries).await.map_err(explained)?;
    Ok(format!("{chain}{key}"))
}

/// The account that orders go by; a new one, if there is none.
pub(super) async fn account(keeper: &Keeper) -> anyhow::Result<Account> {
    let settings = &keeper.settings;
    let builder = Account::builder_with_http((keeper.connect)(settings.ca.as_deref())?);
    let unreachable = || format!("with the ACME server at {}", settings.directory);
    if let Some(known) = storage::account(&keeper.files, settings)? {
        let credentials: AccountCredentials = serde_json::from_str(&known).map_err(|_| {
            anyhow!("the file of the ACME account is damaged; without it, a new one is made")
        })?;
        return builder
            .from_credentials(credentials)
            .await
            .map_err(explained)
            .with_context(unreachable);
    }
    let mail = settings.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = mail.as_deref().into_iter().collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let created = builder.create(&new, settings.directory.clone(), None).await;
    let (account, credentials) = created.map_err(explained).with_context(unreachable)?;
    let text = serde_json::to_string(&credentials).context("an account that cannot be written")?;
    storage::keep_account(&keeper.files, settings, &text)?;
    Ok(account)
}

async fn begin(
    account: &Account,
    names: &[Identifier],
    replaces: Option<CertificateIdentifier<'static>>,
) -> Result<Order, Error> {
    if let Some(replaces) = replaces {
        // A server that knows of no renewals, or of this one already, still takes a new order.
        if let Ok(order) = account.new_order(&NewOrder::new(names).replaces(replaces)).await {
            return Ok(order);
        }
    }
    account.new_order(&NewOrder::new(names)).await
}

/// Whether the server does not know the account any more; the next try makes a new one.
fn is_forgotten(error: &Error) -> bool {
    let Error::Api(problem) = error else { return false };
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}

/// By plain HTTP if there is an address for it, else in a handshake; after a failure the other way.
fn kind(keeper: &Keeper, failures: u32) -> ChallengeType {
    if keeper.has_plain_http == failures.is_multiple_of(2) {
        ChallengeType::Http01
    } else {
        ChallengeType::TlsAlpn01
    }
}

/// What is shown while an order is under way.
struct Shown<'k> {
    keeper: &'k Keeper,
    tokens: Vec<String>,
    names: Vec<String>,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        for token in &self.tokens {
            self.keeper.proofs.hide(token);
        }
        for name in &self.names {
            self.keeper.certificates.proven(name);
        }
    }
}

async fn prove(
    order: &mut Order,
    shown: &mut Shown<'_>,
    kind: ChallengeType,
) -> anyhow::Result<()> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(explained)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let other = if kind == ChallengeType::Http01 {
            ChallengeType::TlsAlpn01
        } else {
            ChallengeType::Http01
        };
        let kinds: Vec<_> = authorization.challenges.iter().map(|one| one.r#type.clone()).collect();
        let chosen = [kind.clone(), other].into_iter().find(|kind| kinds.contains(kind));
        let chosen = chosen.context("the server offers neither http-01 nor tls-alpn-01")?;
        let by_http = chosen == ChallengeType::Http01;
        let mut challenge = authorization.challenge(chosen).context("no challenge")?;
        let name = challenge.identifier().to_string();
        let proof = challenge.key_authorization();
        if by_http {
            shown.tokens.push(challenge.token.clone());
            let shows = shown.keeper.proofs.show(&challenge.token, proof.as_str());
            shows.context("cannot show the proof to the ACME server")?;
        } else {
            let key = handshake(&name, proof.digest().as_ref())?;
            shown.keeper.certificates.prove(&name, Arc::new(key));
            shown.names.push(name);
        }
        challenge.set_ready().await.map_err(explained)?;
    }
    Ok(())
}

/// The certificate that a server with a TLS-ALPN-01 challenge wants to see (RFC 8737, 3).
fn handshake(name: &str, digest: &[u8]) -> anyhow::Result<CertifiedKey> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).context("not a host name")?;
    params.custom_extensions.push(CustomExtension::new_acme_identifier(digest));
    let key = KeyPair::generate().context("no key")?;
    let certificate = params.self_signed(&key).context("no certificate")?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::ring::sign::any_supported_type(&der).context("no key")?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// Why the server did not believe the proofs, in its words.
async fn refusals(order: &mut Order) -> Option<String> {
    let mut texts = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        texts.extend(errors.map(|error| format!("{name} was not proven: {error}")));
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What went wrong, with the server's own words.
fn explained(error: Error) -> anyhow::Error {
    if let Error::Api(problem) = error {
        return anyhow!("the ACME server says: {problem}");
    }
    anyhow!(error)
}
