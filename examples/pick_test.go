package examples

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// picks is what a pick line asks for.
type picks struct {
	n       int
	want    []string       // exactly these; or, with kind "of", this set
	kind    string         // "", "same", "other", "of", "spread"
	share   map[string]int // of each server, for "spread"
	letters []string       // the servers of share, in the order of the line
}

// parsePick reads the words after pick.
func parsePick(args []string) (picks, error) {
	if len(args) == 0 {
		return picks{}, errUsage
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return parseSequence(args)
	}
	if n < 1 || n > maxTurns || len(args) < 2 {
		return picks{}, errUsage
	}
	k := picks{n: n, kind: args[1]}
	switch rest := args[2:]; {
	case (k.kind == "same" || k.kind == "other") && len(rest) == 0:
	case k.kind == "of" && len(rest) == 1:
		k.want = values(rest[0])
	case k.kind == "spread" && len(rest) > 0:
		k.share = map[string]int{}
		for _, a := range rest {
			name, num, _ := strings.Cut(a, "=")
			w, err := strconv.Atoi(num)
			if err != nil || w < 0 || w > maxTurns || name == "" || k.share[name] != 0 {
				return picks{}, fmt.Errorf("%q is not SERVER=SHARE", a)
			}
			k.share[name] = w
			k.letters = append(k.letters, name)
		}
	default:
		return picks{}, errUsage
	}
	return k, nil
}

// parseSequence reads SERVERS [xTIMES].
func parseSequence(args []string) (picks, error) {
	times := 1
	if len(args) == 2 && strings.HasPrefix(args[1], "x") {
		n, err := strconv.Atoi(args[1][1:])
		if err != nil || n < 1 || n > maxTurns {
			return picks{}, errUsage
		}
		times = n
	} else if len(args) != 1 {
		return picks{}, errUsage
	}
	once := values(args[0])
	if len(once) == 0 || len(once)*times > maxTurns {
		return picks{}, errUsage
	}
	return picks{n: len(once) * times, want: slices.Repeat(once, times)}, nil
}

// values reads cookie values: "ABC" or "s1,s2,s3".
func values(s string) []string {
	if strings.Contains(s, ",") {
		return strings.Split(s, ",")
	}
	return strings.Split(s, "")
}

// pick asks once for each pick and looks who answers.
func (p *player) pick(s *step) error {
	want, err := parsePick(s.args)
	if err != nil {
		return err
	}
	name := s.who
	if name == "" {
		name = "somebody"
	}
	c := p.client(name)
	home, before := c.from, c.last
	got := make([]string, 0, want.n)
	for i := range want.n {
		if want.kind == "spread" {
			c.from = netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)})
		}
		who, err := p.meet(p.spoken(s.msg), c)
		if err != nil {
			return fmt.Errorf("pick %d: %w", i+1, err)
		}
		got = append(got, who)
	}
	c.from, c.last = home, got[len(got)-1]
	return want.judge(got, before)
}

// meet sends one request on a connection of its own and returns the cookie value of who answered it.
func (p *player) meet(m *message, c *client) (string, error) {
	c.now = nil
	if err := p.put(c, m.send(c.host(), "")); err != nil {
		return "", err
	}
	e := c.now
	defer func() { c.now = nil; e.conn.Close() }()
	e.asked = []string{m.method}
	if _, err := p.request(patience, m, p.cast); err != nil {
		return "", err
	}
	answer := &step{verb: ">", msg: &message{status: 200}}
	if err := p.reply(answer, p.places[p.it.at]); err != nil {
		return "", err
	}
	w, err := p.receive(patience, e)
	if err != nil {
		return "", err
	}
	if d := answer.msg.differs(w); d != "" {
		return "", errors.New(d)
	}
	return p.it.cookie, nil
}

// judge compares who was picked with what the line wants. before is the client's pick before.
func (k picks) judge(got []string, before string) error {
	switch k.kind {
	case "":
		if !slices.Equal(got, k.want) {
			return fmt.Errorf("got %s", strings.Join(got, ""))
		}
	case "same", "other":
		if k.kind == "other" && (before == "" || got[0] == before) {
			return fmt.Errorf("got %s after %s", strings.Join(got, ""), before)
		}
		if len(slices.Compact(slices.Clone(got))) != 1 {
			return fmt.Errorf("got %s", strings.Join(got, ""))
		}
	case "of":
		set, want := slices.Clone(got), slices.Clone(k.want)
		slices.Sort(set)
		slices.Sort(want)
		if !slices.Equal(slices.Compact(set), slices.Compact(want)) {
			return fmt.Errorf("got %s", strings.Join(got, ""))
		}
	case "spread":
		counts, sum := map[string]int{}, 0
		for _, g := range got {
			counts[g]++
		}
		for _, w := range k.share {
			sum += w
		}
		for _, g := range slices.Concat(k.letters, got) {
			want := float64(k.n*k.share[g]) / float64(sum)
			if n := float64(counts[g]); n < want*0.75 || n > want*1.25 {
				return fmt.Errorf("got %v, wanted %.0f of %s", counts, want, g)
			}
		}
	}
	return nil
}
