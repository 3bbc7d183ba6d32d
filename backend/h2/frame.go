package h2

import "encoding/binary"

// Type is what a frame is (RFC 9113 6, RFC 9218 7.1).
type Type uint8

// The frame types. What has another one is ignored.
const (
	Data Type = iota
	Headers
	Priority
	ResetStream
	SettingsFrame
	PushPromise
	Ping
	GoAway
	WindowUpdate
	Continuation

	PriorityUpdate Type = 0x10
)

// Flags are those of a frame. What they mean depends on its type.
type Flags uint8

// The flags.
const (
	EndStream   Flags = 0x1
	Ack         Flags = 0x1
	EndHeaders  Flags = 0x4
	Padded      Flags = 0x8
	HasPriority Flags = 0x20
)

// Has reports whether all of these flags are set.
func (f Flags) Has(v Flags) bool { return f&v == v }

// Preface is what a client begins a connection with (RFC 9113 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	// FrameHead is the length of what a frame begins with.
	FrameHead = 9
	// MaxFrame is how long the payload of a frame may be. We never ask for more than the least that everybody must take.
	MaxFrame = 16384
	// MaxWindow is the largest flow-control window (RFC 9113 6.9.1).
	MaxWindow = 1<<31 - 1
	// FirstWindow is what every window begins with.
	FirstWindow = 65535
)

// Frame is the head of a frame (RFC 9113 4.1).
type Frame struct {
	Len    int // of the payload
	Type   Type
	Flags  Flags
	Stream uint32 // 0: the connection
}

// ParseFrame reads the head of a frame from FrameHead bytes.
func ParseFrame(b []byte) Frame {
	_ = b[8]
	return Frame{Len: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), Type: Type(b[3]), Flags: Flags(b[4]), Stream: binary.BigEndian.Uint32(b[5:]) & 0x7fffffff}
}

// AppendFrame appends the head of a frame.
func AppendFrame(dst []byte, f Frame) []byte {
	return append(dst, byte(f.Len>>16), byte(f.Len>>8), byte(f.Len), byte(f.Type), byte(f.Flags),
		byte(f.Stream>>24), byte(f.Stream>>16), byte(f.Stream>>8), byte(f.Stream))
}

// SetLen writes the length of the payload into the frame that b begins with.
func SetLen(b []byte, n int) { b[0], b[1], b[2] = byte(n>>16), byte(n>>8), byte(n) }

// AppendHeaders appends a header block as HEADERS and, where it is longer than a frame may be, CONTINUATION frames. end says that
// nothing else follows on the stream.
func AppendHeaders(dst []byte, stream uint32, block []byte, end bool) []byte {
	f := Frame{Type: Headers, Stream: stream}
	if end {
		f.Flags = EndStream
	}
	for len(block) > MaxFrame {
		f.Len = MaxFrame
		dst = append(AppendFrame(dst, f), block[:MaxFrame]...)
		block = block[MaxFrame:]
		f.Type, f.Flags = Continuation, 0
	}
	f.Len = len(block)
	f.Flags |= EndHeaders
	return append(AppendFrame(dst, f), block...)
}

// AppendReset appends RST_STREAM.
func AppendReset(dst []byte, stream uint32, c Code) []byte {
	return binary.BigEndian.AppendUint32(AppendFrame(dst, Frame{Len: 4, Type: ResetStream, Stream: stream}), uint32(c))
}

// AppendWindow appends WINDOW_UPDATE.
func AppendWindow(dst []byte, stream uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(AppendFrame(dst, Frame{Len: 4, Type: WindowUpdate, Stream: stream}), uint32(n))
}

// AppendGoAway appends GOAWAY. last is the last stream of the peer's that was or may yet be acted on.
func AppendGoAway(dst []byte, last uint32, c Code) []byte {
	dst = AppendFrame(dst, Frame{Len: 8, Type: GoAway})
	dst = binary.BigEndian.AppendUint32(dst, last)
	return binary.BigEndian.AppendUint32(dst, uint32(c))
}

// AppendPing appends PING.
func AppendPing(dst []byte, ack bool, data []byte) []byte {
	f := Frame{Len: 8, Type: Ping}
	if ack {
		f.Flags = Ack
	}
	return append(AppendFrame(dst, f), data[:8]...)
}

var (
	errLength    = &Error{FrameSizeError, "a frame of the wrong length"}
	errNoStream  = &Error{ProtocolError, "a frame for the connection that must be on a stream"}
	errOnStream  = &Error{ProtocolError, "a frame on a stream that must be for the connection"}
	errPush      = &Error{ProtocolError, "PUSH_PROMISE, which nobody may send here"}
	errPadding   = &Error{ProtocolError, "padding longer than its frame"}
	errShort     = &Error{FrameSizeError, "a frame too short for what it says"}
	errOwnParent = &Error{ProtocolError, "a stream that depends on itself"}
)

// Check checks the stream and the length of a frame, as far as its type alone says what they must be (RFC 9113 6, RFC 9218 7.1). An error is one
// of the connection. No PUSH_PROMISE passes: clients must not send any, and we let no server.
func (f Frame) Check() error {
	switch f.Type {
	case Data, Headers, Priority, ResetStream, Continuation:
		if f.Stream == 0 {
			return errNoStream
		}
	case SettingsFrame, Ping, GoAway, PriorityUpdate:
		if f.Stream != 0 {
			return errOnStream
		}
	case PushPromise:
		return errPush
	}
	switch {
	case (f.Type == ResetStream || f.Type == WindowUpdate || f.Type == PriorityUpdate && f.Len < 4) && f.Len != 4,
		(f.Type == Ping || f.Type == GoAway && f.Len < 8) && f.Len != 8:
		return errLength
	case f.Type == SettingsFrame && f.Flags.Has(Ack) && f.Len != 0:
		return errSettingsAck
	case f.Type == SettingsFrame && f.Len%6 != 0:
		return errSettingsSize
	}
	return nil
}

// Unpad returns the payload of a DATA or HEADERS frame without padding (RFC 9113 6.1).
func (f Frame) Unpad(p []byte) ([]byte, error) {
	if !f.Flags.Has(Padded) {
		return p, nil
	}
	if len(p) == 0 {
		return nil, errShort
	}
	n := int(p[0])
	if n >= len(p) {
		return nil, errPadding
	}
	return p[1 : len(p)-n], nil
}

// Block returns the fragment of a header block that a HEADERS frame carries: without padding, and without the priority of RFC 7540,
// which is of no use any more (RFC 9113 5.3.2).
func (f Frame) Block(p []byte) ([]byte, error) {
	p, err := f.Unpad(p)
	if err != nil || !f.Flags.Has(HasPriority) {
		return p, err
	}
	if len(p) < 5 {
		return nil, errShort
	}
	if binary.BigEndian.Uint32(p)&0x7fffffff == f.Stream {
		return nil, errOwnParent
	}
	return p[5:], nil
}
