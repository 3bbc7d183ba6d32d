package backend

import (
	"time"

	"gatehouse/backend/h2"
)

// vital is what is known of whether the server at the other end of a link still lives. A machine that has vanished says nothing: every
// exchange would wait on its link for the server timeout, and the next ones after them.
type vital struct {
	asked  bool  // a PING is not answered
	at     int64 // Loop.Now, when the last one was sent
	spaced bool  // no content or head came since
}

const (
	// pingAfter is how long a link with calls may be silent before the server is asked, and how long it may take to answer.
	pingAfter = 10 * time.Second
	// pingEvery is how far apart PINGs are that nothing comes between but their answers. Servers of gRPC end connections on which they
	// come more often.
	pingEvery = 5*time.Minute + time.Second
	// doubt is how long a PING may be without an answer before new exchanges go elsewhere.
	doubt = 2 * time.Second
)

var pingData = []byte("gatehous")

// doubtful reports whether new exchanges had better have another link.
func (v *vital) doubtful(k *link) bool {
	return v.asked && k.l.Now()-v.at > doubt.Milliseconds()
}

// silent is called when nothing has come for as long as it was waited for.
func (v *vital) silent(k *link) {
	if v.asked {
		k.fail(errUnanswered)
		return
	}
	if wait := v.at + pingEvery.Milliseconds() - k.l.Now(); v.spaced && wait > 0 {
		k.c.SetReadTimeout(time.Duration(wait) * time.Millisecond)
		return
	}
	v.asked, v.spaced, v.at = true, true, k.l.Now()
	k.mark()
	k.out = h2.AppendPing(k.out, false, pingData)
	k.c.SetReadTimeout(pingAfter)
}
