//! JSON-RPC, as far as MCP uses it.

use serde_json::{Map, Value, json};

/// The server does not implement a method.
pub(super) const METHOD_NOT_FOUND: i64 = -32_601;
const INVALID_PARAMS: i64 = -32_602;
/// Headers and body of a request differ: the tool has other parameters by now.
pub(super) const HEADER_MISMATCH: i64 = -32_020;
const MISSING_CAPABILITY: i64 = -32_021;
/// The server speaks other versions.
pub(super) const UNSUPPORTED_VERSION: i64 = -32_022;

/// A message that a server sent.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// An answer to the request of this number.
    Result {
        id: Value,
        result: Map<String, Value>,
    },
    /// A refusal of the request of this number; null where the server did not read so far.
    Error { id: Value, error: RpcError },
    /// Something that it wants to have done.
    Request { id: Value, method: String },
    /// Something that it tells.
    Notification,
}

/// An error as it is on the wire.
#[derive(Debug, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Value,
}

impl RpcError {
    /// Whether only a server of the versions without sessions says so.
    pub(super) const fn is_of_stateless_versions(&self) -> bool {
        matches!(
            self.code,
            METHOD_NOT_FOUND
                | INVALID_PARAMS
                | HEADER_MISMATCH
                | MISSING_CAPABILITY
                | UNSUPPORTED_VERSION
        )
    }

    /// Whether the server says that it speaks a version.
    pub(super) fn supports(&self, version: &str) -> bool {
        let supported = self.data.get("supported").and_then(Value::as_array);
        supported.is_some_and(|it| it.iter().any(|it| it == version))
    }
}

impl Message {
    /// Reads a message; `None` for what is none.
    pub(super) fn read(value: Value) -> Option<Self> {
        let Value::Object(mut fields) = value else {
            return None;
        };
        let id = fields.remove("id");
        if let Some(Value::String(method)) = fields.remove("method") {
            return Some(match id {
                Some(id) if !id.is_null() => Self::Request { id, method },
                _ => Self::Notification,
            });
        }
        if let Some(Value::Object(mut error)) = fields.remove("error") {
            let message = error.remove("message");
            return Some(Self::Error {
                id: id.unwrap_or(Value::Null),
                error: RpcError {
                    code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
                    message: message.and_then(text).unwrap_or_default(),
                    data: error.remove("data").unwrap_or_default(),
                },
            });
        }
        match (id, fields.remove("result")) {
            (Some(id), Some(Value::Object(result))) => Some(Self::Result { id, result }),
            _ => None,
        }
    }
}

/// A request.
pub(super) fn request(id: u64, method: &str, params: &Map<String, Value>) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A notification.
pub(super) fn notification(method: &str, params: &Map<String, Value>) -> Value {
    match params.is_empty() {
        true => json!({"jsonrpc": "2.0", "method": method}),
        false => json!({"jsonrpc": "2.0", "method": method, "params": params}),
    }
}

/// The answer to a request of the server's. Only whether anybody is there is answered: nothing else
/// was offered.
pub(super) fn answer(id: &Value, method: &str) -> Value {
    match method {
        "ping" => json!({"jsonrpc": "2.0", "id": id, "result": {}}),
        _ => json!({"jsonrpc": "2.0", "id": id, "error": {
            "code": METHOD_NOT_FOUND, "message": "This client does not offer that."}}),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let read = |value| Message::read(value);
        let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"a": 1}});
        assert!(matches!(read(result), Some(Message::Result { .. })));
        let request = json!({"id": "x", "method": "ping"});
        assert!(matches!(read(request), Some(Message::Request { .. })));
        let told = json!({"method": "notifications/progress", "params": {}});
        assert_eq!(read(told), Some(Message::Notification));
        let error = json!({"id": null, "error": {"code": -32022, "message": "no",
            "data": {"supported": ["2026-07-28"]}}});
        let Some(Message::Error { id, error }) = read(error) else {
            panic!("it is an error")
        };
        assert!(id.is_null() && error.supports("2026-07-28") && !error.supports("2027-01-01"));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for value in [
            json!(null),
            json!([]),
            json!("text"),
            json!({}),
            json!({"id": 1, "result": "text"}),
            json!({"result": {}}),
            json!({"error": "broken"}),
        ] {
            assert_eq!(Message::read(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn only_a_ping_is_answered_with_anything() {
        let id = json!("s-1");
        assert_eq!(answer(&id, "ping")["result"], json!({}));
        for method in ["sampling/createMessage", "elicitation/create", "roots/list"] {
            assert_eq!(answer(&id, method)["error"]["code"], METHOD_NOT_FOUND);
        }
    }
}
