//! The configuration of kubeadm: several documents in one file, checked as strictly as kubeadm of that version does.

use serde_json::{Value, json};

/// What `kubeadm init` uses of its configuration.
#[derive(Debug)]
pub(crate) struct InitSettings {
    pub(crate) node_name: String,
    /// `host:port` under which the cluster's API is known.
    pub(crate) endpoint: String,
    pub(crate) port: u16,
    pub(crate) api_names: Vec<String>,
    pub(crate) service_subnet: String,
    pub(crate) pod_subnet: String,
    pub(crate) node_port_addresses: Vec<String>,
    pub(crate) tokens: Vec<String>,
    /// Whether the node keeps pods away, as control planes do unless they are told not to.
    pub(crate) tainted: bool,
}

/// What `kubeadm join` uses.
#[derive(Debug)]
pub(crate) struct JoinSettings {
    pub(crate) node_name: String,
    pub(crate) endpoint: String,
    pub(crate) token: String,
    /// Hashes of the authorities that are trusted; none of them when every one is.
    pub(crate) authorities: Option<Vec<String>>,
}

/// The documents of one file.
#[derive(Debug)]
pub(crate) struct Documents(Vec<Value>);

impl Documents {
    /// Reads a file for kubeadm of a version, `v1.36.4`.
    pub(crate) fn parse(text: &str, version: &str) -> Result<Self, String> {
        let minor = minor(version)?;
        let mut documents = Vec::new();
        for part in text.split("\n---") {
            let value: Value = serde_saphyr::from_str(part)
                .map_err(|error| format!("error unmarshaling configuration: {error}"))?;
            if !value.is_null() {
                check(&value, minor)?;
                documents.push(value);
            }
        }
        Ok(Self(documents))
    }

    /// The settings of `kubeadm init` on the machine `hostname`, for the version that the image has.
    pub(crate) fn init(&self, hostname: &str, version: &str) -> Result<InitSettings, String> {
        let cluster = self.kind("ClusterConfiguration")?;
        let init = self.kind("InitConfiguration")?;
        self.kind("KubeletConfiguration")?;
        let proxy = self.kind("KubeProxyConfiguration")?;
        let wanted = text(cluster, "/kubernetesVersion")?;
        if wanted != version {
            return Err(format!("this image has Kubernetes {version}, the configuration {wanted}"));
        }
        container_runtime(init)?;
        let port = init.pointer("/localAPIEndpoint/bindPort").and_then(Value::as_u64);
        let port = u16::try_from(port.unwrap_or(6443)).map_err(|error| error.to_string())?;
        let endpoint = match text(cluster, "/controlPlaneEndpoint") {
            Ok(endpoint) => endpoint.to_owned(),
            Err(_) => format!("{}:{port}", text(init, "/localAPIEndpoint/advertiseAddress")?),
        };
        let mut api_names = strings(cluster.pointer("/apiServer/certSANs"));
        api_names.extend([hostname.to_owned(), host(&endpoint).to_owned()]);
        // Addresses are no host names; loopback's is in the certificate anyway.
        api_names.retain(|name| name.parse::<std::net::IpAddr>().is_err());
        let mut ranges = strings(proxy.pointer("/nodePortAddresses"));
        if ranges.is_empty() {
            ranges.push("0.0.0.0/0".to_owned());
        }
        let tokens = init.pointer("/bootstrapTokens").and_then(Value::as_array);
        let tokens = tokens.into_iter().flatten().filter_map(|token| token["token"].as_str());
        Ok(InitSettings {
            node_name: node_name(init, hostname),
            endpoint,
            port,
            api_names,
            service_subnet: text(cluster, "/networking/serviceSubnet")?.to_owned(),
            pod_subnet: text(cluster, "/networking/podSubnet")?.to_owned(),
            node_port_addresses: ranges,
            tokens: tokens.map(str::to_owned).collect(),
            tainted: init.pointer("/nodeRegistration/taints").is_none_or(|it| it != &json!([])),
        })
    }

    /// The settings of `kubeadm join`.
    pub(crate) fn join(&self, hostname: &str) -> Result<JoinSettings, String> {
        let join = self.kind("JoinConfiguration")?;
        container_runtime(join)?;
        let discovery = &join["discovery"]["bootstrapToken"];
        let authorities = strings(discovery.get("caCertHashes"));
        let unchecked = discovery["unsafeSkipCAVerification"] == true;
        if authorities.is_empty() && !unchecked {
            return Err("discovery: caCertHashes or unsafeSkipCAVerification is needed".to_owned());
        }
        Ok(JoinSettings {
            authorities: (!unchecked).then_some(authorities),
            node_name: node_name(join, hostname),
            endpoint: text(join, "/discovery/bootstrapToken/apiServerEndpoint")?.to_owned(),
            token: text(join, "/discovery/bootstrapToken/token")?.to_owned(),
        })
    }

    fn kind(&self, kind: &str) -> Result<&Value, String> {
        let found = self.0.iter().find(|document| document["kind"] == kind);
        found.ok_or_else(|| format!("the configuration has no {kind}"))
    }
}

/// The host of `host:port`.
pub(crate) fn host(endpoint: &str) -> &str {
    endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host)
}

/// `apiVersion` and the shapes that differ between the versions of kubeadm's API.
fn check(document: &Value, minor: u32) -> Result<(), String> {
    let (group, kind) = (text(document, "/apiVersion")?, text(document, "/kind")?);
    let of_kubeadm =
        matches!(kind, "ClusterConfiguration" | "InitConfiguration" | "JoinConfiguration");
    let known = match group {
        "kubeadm.k8s.io/v1beta3" => of_kubeadm && (22..37).contains(&minor),
        "kubeadm.k8s.io/v1beta4" => of_kubeadm && minor >= 31,
        "kubelet.config.k8s.io/v1beta1" => kind == "KubeletConfiguration",
        "kubeproxy.config.k8s.io/v1alpha1" => kind == "KubeProxyConfiguration",
        _ => false,
    };
    if !known {
        return Err(format!("kubeadm 1.{minor} does not know {kind} of {group}"));
    }
    extra_args(document, kind, group.ends_with("v1beta4"))
}

/// Arguments are a map in v1beta3 and a list of name and value in v1beta4; values are strings in both.
fn extra_args(value: &Value, path: &str, list: bool) -> Result<(), String> {
    let wrong = |path: &str, is: &str| Err(format!("{path}: {is} of name and value expected"));
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            let path = format!("{path}.{key}");
            if !matches!(key.as_str(), "extraArgs" | "kubeletExtraArgs") || value.is_null() {
                return extra_args(value, &path, list);
            }
            let pair = |entry: &Value| entry["name"].is_string() && entry["value"].is_string();
            match value {
                Value::Array(entries) if list && entries.iter().all(pair) => Ok(()),
                Value::Object(entries) if !list && entries.values().all(Value::is_string) => Ok(()),
                _ => wrong(&path, if list { "a list" } else { "a map" }),
            }
        }),
        Value::Array(entries) => entries.iter().try_for_each(|entry| extra_args(entry, path, list)),
        _ => Ok(()),
    }
}

fn container_runtime(document: &Value) -> Result<(), String> {
    match text(document, "/nodeRegistration/criSocket")? {
        "unix:///run/containerd/containerd.sock" => Ok(()),
        other => Err(format!("no container runtime answers at {other}")),
    }
}

fn node_name(document: &Value, hostname: &str) -> String {
    text(document, "/nodeRegistration/name").unwrap_or(hostname).to_owned()
}

fn text<'a>(document: &'a Value, path: &str) -> Result<&'a str, String> {
    let found = document.pointer(path).and_then(Value::as_str);
    found.ok_or_else(|| {
        format!("{} has no {path}", document["kind"].as_str().unwrap_or("a document"))
    })
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let values = value.and_then(Value::as_array).into_iter().flatten();
    values.filter_map(|value| Some(value.as_str()?.to_owned())).collect()
}

fn minor(version: &str) -> Result<u32, String> {
    let number =
        version.trim().strip_prefix("v1.").and_then(|rest| rest.split('.').next()?.parse().ok());
    number.ok_or_else(|| format!("{version} is no version of Kubernetes"))
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
