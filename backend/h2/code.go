package h2

import "strconv"

// Code says why a stream or a connection ended (RFC 9113 7).
type Code uint32

// The error codes.
const (
	NoError Code = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

var codes = [...]string{"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"}

// String returns the name the RFC gives it.
func (c Code) String() string {
	if int(c) < len(codes) {
		return codes[c]
	}
	return "0x" + strconv.FormatUint(uint64(c), 16)
}

// Error ends a connection: its peer is told the code by GOAWAY, the log gets the rest.
type Error struct {
	Code Code
	Why  string
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Why }
