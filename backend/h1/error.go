package h1

import "fmt"

// Side says who failed.
type Side uint8

// The sides an exchange can fail on.
const (
	ByProxy  Side = iota // this process, or a decision of its configuration
	ByClient             // who asks
	ByServer             // who answers
)

func (s Side) String() string { return [...]string{"proxy", "client", "server"}[s] }

// Error ends an exchange. What the client is told is the status alone; the log gets the rest.
type Error struct {
	Status int   // what the client is told; 0: nothing, the connection is closed
	Side   Side  // who failed
	Reused bool  // failed on a kept-alive connection before anything came back: a retry is safe where the method allows it
	Err    error // the cause
	// Cause and State are HAProxy's termination characters, 0 for "judge by Side".
	Cause, State byte
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Side, e.Err) }

func (e *Error) Unwrap() error { return e.Err }
