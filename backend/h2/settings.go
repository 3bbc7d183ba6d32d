package h2

import "encoding/binary"

// Setting is one parameter of a connection (RFC 9113 6.5.2, RFC 8441 3, RFC 9218 2.1).
type Setting uint16

// The settings. Others are ignored.
const (
	HeaderTableSize       Setting = 0x1
	EnablePush            Setting = 0x2
	MaxConcurrentStreams  Setting = 0x3
	InitialWindowSize     Setting = 0x4
	MaxFrameSize          Setting = 0x5
	MaxHeaderListSize     Setting = 0x6
	EnableConnectProtocol Setting = 0x8
	NoPriorities          Setting = 0x9
)

var (
	errSettingsSize = &Error{FrameSizeError, "a SETTINGS frame that is no whole number of settings"}
	errSettingsAck  = &Error{FrameSizeError, "an acknowledgement of SETTINGS with a payload"}
	errSwitch       = &Error{ProtocolError, "a setting that is neither 0 nor 1"}
	errFirstWindow  = &Error{FlowControlError, "INITIAL_WINDOW_SIZE beyond 2^31-1"}
	errFrameSize    = &Error{ProtocolError, "MAX_FRAME_SIZE out of bounds"}
)

// AppendSetting appends a parameter to the payload of a SETTINGS frame.
func AppendSetting(dst []byte, s Setting, v uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, uint16(s)), v)
}

// NextSetting takes the first parameter off the payload of a SETTINGS frame, which is not empty, and checks its value.
func NextSetting(p []byte) (s Setting, v uint32, rest []byte, err error) {
	s, v = Setting(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])
	switch {
	case (s == EnablePush || s == EnableConnectProtocol || s == NoPriorities) && v > 1: // RFC 8441 3, RFC 9218 2.1
		err = errSwitch
	case s == InitialWindowSize && v > MaxWindow:
		err = errFirstWindow
	case s == MaxFrameSize && (v < MaxFrame || v > 1<<24-1):
		err = errFrameSize
	}
	return s, v, p[6:], err
}
