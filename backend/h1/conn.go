package h1

// Conn is being written.
type Conn struct{}
