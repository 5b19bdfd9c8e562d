//! Kubeconfig or in-cluster account → a client. Certificates are always verified; a kubeconfig that says otherwise is
//! refused unless the user says so, too. Nothing that a credential plugin prints, and no part of a kubeconfig but names and
//! paths, gets into a message.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use kube::client::AuthError;
use kube::config::{
    ExecInteractiveMode, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError,
};
use kube::{Client, Config};

use super::api::Fault;

/// How a cluster is chosen.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `--kubeconfig`
    pub kubeconfig: Option<std::path::PathBuf>,
    /// `--context`
    pub context: Option<String>,
    /// `--insecure-skip-tls-verify`
    pub insecure: bool,
}

/// Finds the cluster as kubectl would: `--kubeconfig`, `$KUBECONFIG`, `~/.kube/config`, else the pod's own account.
pub(crate) async fn config(target: &Target) -> Result<Config> {
    let options =
        KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match &target.kubeconfig {
        Some(path) => match Kubeconfig::read_from(path) {
            Ok(read) => Config::from_custom_kubeconfig(read, &options).await,
            Err(error) => Err(error),
        }
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), kubeconfig(&error)))?,
        None => match Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            Err(error) if target.context.is_some() => bail!("kubeconfig: {}", kubeconfig(&error)),
            Err(error) => match Config::incluster() {
                Ok(config) => config,
                Err(inside) => bail!(
                    "no cluster to ask. Kubeconfig: {}. In a pod: {}. Name one with --kubeconfig FILE or --context NAME",
                    kubeconfig(&error),
                    in_cluster(&inside)
                ),
            },
        },
    };
    if config.accept_invalid_certs && !target.insecure {
        bail!(
            "the kubeconfig says insecure-skip-tls-verify: whoever stands between could read and change everything. \
             Put the cluster's certificate-authority into the kubeconfig, or give --insecure-skip-tls-verify here too"
        );
    }
    config.accept_invalid_certs |= target.insecure;
    // Ours know what was cut, and when to stop.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    if let Some(exec) = &mut config.auth_info.exec
        && !std::io::IsTerminal::is_terminal(&std::io::stdin())
    {
        // Nobody is there to be asked, and what it prints is not to stand among our messages.
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    Ok(config)
}

/// A client for it. Runs the credential plugin, if there is one, apart, so that it can be waited for with a deadline.
pub(crate) async fn client(config: &Config, plugin: Duration) -> Result<Client, Fault> {
    let config = config.clone();
    let made = tokio::task::spawn_blocking(move || {
        // The connection's own tasks belong to the runtime that asks.
        Client::try_from(config)
    });
    match tokio::time::timeout(plugin, made).await {
        Ok(Ok(Ok(client))) => Ok(client),
        Ok(Ok(Err(error))) => Err(fault(&error)),
        Ok(Err(_)) => Err(Fault::Credentials("the client could not be made".into())),
        Err(_) => Err(Fault::Credentials(format!(
            "the credential plugin of the kubeconfig did not end within {plugin:?}"
        ))),
    }
}

/// What a failed request may say: kube's own texts quote plugins' environments and what they printed.
pub(crate) fn fault(error: &kube::Error) -> Fault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<AuthError>() {
            return Fault::Credentials(credentials(error));
        }
        if let Some(error) = error.downcast_ref::<KubeconfigError>() {
            return Fault::Credentials(format!("kubeconfig: {}", kubeconfig(error)));
        }
        cause = error.source();
    }
    match error {
        kube::Error::ProxyProtocolUnsupported { proxy_url }
        | kube::Error::ProxyProtocolDisabled { proxy_url, .. } => {
            let scheme = proxy_url.scheme_str().unwrap_or("without a scheme");
            return Fault::Credentials(format!("a proxy of this kind is not supported: {scheme}"));
        }
        _ => {}
    }
    Fault::Cut(transport(error))
}

/// The innermost causes of a connection that failed: addresses, certificates, the system's words.
fn transport(error: &kube::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    let text = texts.pop().unwrap_or_else(|| "the connection failed".into());
    if text.contains("UnknownIssuer") {
        return format!(
            "{text}: the server's certificate is of nobody that the kubeconfig trusts (certificate-authority)"
        );
    }
    match texts.iter().any(|text| text.contains("connect")) {
        true => format!("cannot connect to the API server: {text}"),
        false => format!("the connection to the API server failed: {text}"),
    }
}

fn credentials(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecStart(error) => {
            format!("the credential plugin of the kubeconfig cannot be started: {error}")
        }
        AuthError::AuthExecRun { out, .. } => {
            format!(
                "the credential plugin of the kubeconfig failed ({}); run it by hand to see why",
                out.status
            )
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            "the credential plugin of the kubeconfig printed no ExecCredential".into()
        }
        AuthError::MissingCommand => "the kubeconfig's exec names no command".into(),
        AuthError::ReadTokenFile(error, path) => format!("{}: {error}", path.display()),
        _ => "the kubeconfig's credentials cannot be used".into(),
    }
}

fn kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::CurrentContextNotSet => "it has no current-context".into(),
        KubeconfigError::LoadContext(name) => format!("it has no context {name:?}"),
        KubeconfigError::LoadClusterOfContext(name) => format!("it has no cluster {name:?}"),
        KubeconfigError::FindPath => "no home directory to look in".into(),
        KubeconfigError::ReadConfig(error, path) => file(error, path),
        KubeconfigError::Parse(_) => "it is no kubeconfig".into(),
        KubeconfigError::MissingClusterUrl => "its cluster has no server".into(),
        KubeconfigError::ParseClusterUrl(_) => "its cluster's server is no URL".into(),
        KubeconfigError::ParseProxyUrl(_) => "its proxy-url (or HTTPS_PROXY) is no URL".into(),
        KubeconfigError::LoadCertificateAuthority(_) => {
            "its certificate-authority cannot be read".into()
        }
        KubeconfigError::LoadClientCertificate(_) => "its client-certificate cannot be read".into(),
        KubeconfigError::LoadClientKey(_) => "its client-key cannot be read".into(),
        KubeconfigError::ParseCertificates(_) => "a certificate in it is no PEM".into(),
        _ => "it cannot be used".into(),
    }
}

fn file(error: &std::io::Error, path: &Path) -> String {
    format!("{}: {error}", path.display())
}

fn in_cluster(error: &InClusterError) -> &'static str {
    match error {
        InClusterError::ReadEnvironmentVariable(_) => "KUBERNETES_SERVICE_HOST is not set",
        _ => "the service account's files cannot be read",
    }
}
