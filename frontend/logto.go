package frontend

import "io"

// NewLog is OpenLog for an output that is open already, which the log neither opens again nor closes. A Write that blocks
// holds up nobody but Close.
func NewLog(c *LogConfig, w io.Writer, report func(msg string)) *Log {
	l := newLog(c, borrowed{w}, report)
	go l.write()
	return l
}

// borrowed is an output of somebody else's.
type borrowed struct{ io.Writer }

func (borrowed) Close() error { return nil }

func (borrowed) interrupt() bool { return false }
