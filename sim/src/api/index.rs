//! The index at `/bigbluebutton/api`: which version this is (`bbb-api.md` 2.1).
//!
//! Refuses to prove anything: it needs no checksum, on a real server too.

use std::sync::Arc;

use http::header;
use serde_json::json;

use crate::api::inbound::Inbound;
use crate::config::Profile;
use crate::node::Node;
use crate::reply::Reply;
use crate::xml::Xml;

const PLUGIN_SDK: &str = "0.0.99";

pub(crate) fn index(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let version = node.config.bbb_version.as_deref().unwrap_or("");
    let origin = node.origin();
    let websocket = format!("{}/graphql", origin.replacen("http", "ws", 1));
    let rest = format!("{origin}/api/rest");
    let v30 = node.config.profile == Profile::V30;
    if inbound.header(&header::CONTENT_TYPE).starts_with("application/json") {
        let mut response = json!({
            "returncode": "SUCCESS", "version": "2.0", "apiVersion": "2.0", "bbbVersion": version,
        });
        if v30 {
            response["graphqlWebsocketUrl"] = websocket.into();
            response["graphqlApiUrl"] = rest.into();
            response["html5PluginSdkVersion"] = PLUGIN_SDK.into();
        }
        return Reply::json(&json!({ "response": response }));
    }
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("version", "2.0").leaf("apiVersion", "2.0").leaf("bbbVersion", version);
    if v30 {
        xml.leaf("graphqlWebsocketUrl", websocket)
            .leaf("graphqlApiUrl", rest)
            .leaf("html5PluginSdkVersion", PLUGIN_SDK);
    }
    Reply::xml(xml.finish()).with(header::CACHE_CONTROL, "no-cache")
}
