package h1

import (
	"fmt"
	"strconv"
)

// Mode is what a frontend and its backend speak: HTTP, or nothing but bytes.
type Mode uint8

// The modes.
const (
	HTTP Mode = iota // each request is read and answered
	TCP              // each connection is relayed as it is
)

// String returns the word of the configuration.
func (m Mode) String() string {
	switch m {
	case HTTP:
		return "http"
	case TCP:
		return "tcp"
	}
	return "Mode(" + strconv.Itoa(int(m)) + ")"
}

// UnmarshalText reads "http" or "tcp".
func (m *Mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "http":
		*m = HTTP
	case "tcp":
		*m = TCP
	default:
		return fmt.Errorf(`unknown mode %q: want "http" or "tcp"`, text)
	}
	return nil
}
