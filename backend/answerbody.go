package backend

import (
	"errors"
	"io"

	"gatehouse/backend/h1"
)

// Next is h1.Body's.
func (a *answer) Next(wait bool) (h1.Piece, error) {
	if a.s != nil {
		return a.listen(wait)
	}
	if a.content == nil {
		return h1.Piece{}, io.EOF
	}
	p, err := a.content.Next(wait)
	switch {
	case err == nil && !p.Last:
	case err == nil, err == io.EOF:
		a.settle()
	default:
		err = a.torn(err)
	}
	return p, err
}

// torn completes an error in the middle of the server's answer.
func (a *answer) torn(err error) error {
	switch {
	case a.up.err != nil && !a.up.lenient:
		return a.up.err
	case a.cancelled:
		return gone('D')
	}
	if he, ok := errors.AsType[*h1.Error](err); ok {
		a.srv.stats.Failed.Add(1)
		he.Err = &serverError{a.srv, "answer of", he.Err}
		if he.Cause == 0 {
			he.Cause = 'S'
		}
	}
	return err
}

// Trailer is h1.Body's.
func (a *answer) Trailer() *h1.Header {
	if a.s != nil && a.s.trailed {
		return &a.s.trailer
	}
	return a.trailer
}

// Close is h1.Body's.
func (a *answer) Close() {
	a.finish()
}
