package slots

// ClientVersion is the version of this client, sent to the server in the user agent.
const ClientVersion = "0.1.0"
