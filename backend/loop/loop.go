// Package loop is being written.
package loop

// Loop is one event loop.
type Loop struct{ ID int }

// Conn is a connection of a loop.
type Conn struct{}
