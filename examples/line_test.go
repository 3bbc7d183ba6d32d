package examples

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errUsage stands for the usage of a verb.
var errUsage = errors.New("usage")

// take reads the words after the verb.
func (s *step) take() error {
	if s.verb == "<" || s.verb == "<<" {
		if err := s.takeTime(); err != nil {
			return err
		}
	}
	switch n := len(s.args); s.verb {
	case "checked":
		if done, err := s.takeChecks(); done || err != nil {
			return err
		}
		return s.takeMessage()
	case ">", "<":
		return s.takeMessage()
	case ">>", "<<":
		_, quoted, _ := strings.Cut(s.text, s.verb)
		q, err := strconv.QuotedPrefix(strings.TrimSpace(quoted))
		if err != nil {
			return errUsage
		}
		rest := strings.Fields(strings.TrimSpace(quoted)[len(q):])
		if len(rest) >= 2 && rest[0] == "on" {
			s.on, rest = rest[1], rest[2:]
		}
		if len(rest) > 0 && (s.verb == ">>" || rest[0] != "within" && rest[0] != "after") {
			return errUsage
		}
		text, err := strconv.Unquote(q)
		if s.raw = []byte(text); err != nil || len(text) == 0 {
			return errUsage
		}
	case "house", "stop":
		if n != 1 && (n != 3 || s.args[1] != "at") {
			return errUsage
		}
	case "reload":
		if n == 1 {
			return nil
		}
		_, pattern, ok := strings.Cut(s.text, "refused ~ ")
		if n < 4 || s.args[1] != "refused" || s.args[2] != "~" || !ok {
			return errUsage
		}
		s.args = []string{s.args[0], pattern}
		_, err := regexp.Compile(pattern)
		return err
	case "server":
		if n != 2 && n != 3 || (n == 3) != (s.args[0] == "weight") || !slices.Contains([]string{"ready", "drain", "maint", "weight"}, s.args[0]) {
			return errUsage
		}
	case "cut":
		if n != 2 {
			return errUsage
		}
	case "connect":
		if n != 0 && (n != 1 || s.args[0] != "refused") {
			return errUsage
		}
	case "counts":
		if n != 1 {
			return errUsage
		}
		_, err := strconv.ParseUint(s.args[0], 10, 16)
		return err
	case "new", "mend":
		if n != 0 {
			return errUsage
		}
	case "log":
		if n == 1 && s.args[0] == "nothing" {
			return nil
		}
		if n < 2 || s.args[0] != "~" {
			return errUsage
		}
		_, s.args[0], _ = strings.Cut(s.text, "~")
		s.args[0] = strings.TrimSpace(s.args[0])
		_, err := regexp.Compile(s.args[0])
		return err
	case "wait":
		if n != 1 {
			return errUsage
		}
		_, err := duration(s.args[0])
		return err
	case "checks":
		if n != 1 {
			return errUsage
		}
		if _, ok := status(s.args[0]); !ok && !slices.Contains([]string{"hang", "reset", "hello", "plain"}, s.args[0]) {
			return errUsage
		}
	case "pick":
		s.msg = &message{method: "GET", target: "/pick"}
		_, err := parsePick(s.args)
		return err
	default:
		if n != 1 {
			return errUsage
		}
	}
	return nil
}

// takeTime takes "within D" or "after D" off the end of the line.
func (s *step) takeTime() error {
	n := len(s.args)
	if n < 2 || s.args[n-2] != "within" && s.args[n-2] != "after" {
		return nil
	}
	d, err := duration(s.args[n-1])
	if err != nil {
		return err
	}
	if s.within = d; s.args[n-2] == "after" {
		s.after, s.within = d, 2*d+patience
	}
	s.args = s.args[:n-2]
	return nil
}

// takeChecks reads N times in DURATION, or from ADDRESS. done is false where something else stands.
func (s *step) takeChecks() (done bool, err error) {
	switch {
	case len(s.args) == 2 && s.args[0] == "from":
		_, err = netip.ParseAddr(s.args[1])
	case len(s.args) == 4 && s.args[1] == "times" && s.args[2] == "in":
		if _, err = strconv.ParseUint(s.args[0], 10, 16); err == nil {
			_, err = duration(s.args[3])
		}
	default:
		return false, nil
	}
	return true, err
}

// takeMessage reads METHOD TARGET [VERSION], STATUS [REASON], EOF or nothing.
func (s *step) takeMessage() error {
	if len(s.args) == 1 && (s.args[0] == "EOF" && s.verb != "checked" || s.args[0] == "nothing" && s.verb == "<") {
		return nil
	}
	if len(s.args) == 0 {
		return errUsage
	}
	if code, ok := status(s.args[0]); ok && s.verb != "checked" {
		s.msg = &message{status: code, reason: strings.Join(s.args[1:], " ")}
		return nil
	}
	if len(s.args) < 2 || len(s.args) > 3 {
		return errUsage
	}
	s.msg = &message{method: s.args[0], target: s.args[1]}
	if len(s.args) == 3 {
		if s.msg.version = s.args[2]; !strings.HasPrefix(s.msg.version, "HTTP/") {
			return fmt.Errorf("%q is not a version of HTTP", s.msg.version)
		}
	}
	return nil
}

// duration reads a time that may be waited for: up to a year.
func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > 365*24*time.Hour {
		return 0, fmt.Errorf("%q is not a duration", s)
	}
	return d, nil
}

// status reads a three-digit HTTP status.
func status(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && len(s) == 3 && n >= 100
}
