package backend

// standing is whom a server takes at the moment: what its health, the operator's will and its weight come to. The higher,
// the worse.
type standing uint8

const (
	open    standing = iota // everybody
	closing                 // holders of its cookie: drained by the operator, of weight 0, or leaving by its own word (drain_on)
	failing                 // holders of its cookie, though a check has failed: on_fail = "drain"
	shut                    // nobody: down, in maintenance, or not checked yet
)

func (s standing) String() string {
	return [...]string{"open", "closing", "failing", "shut"}[s]
}

// standingOf joins what checks say of a server with what the operator wants of it.
func standingOf(health standing, state State, weight int) standing {
	switch {
	case state == Maint:
		return shut
	case state == Drain, weight == 0:
		return max(health, closing)
	}
	return health
}

// verdict says in a word what checks found.
func (s standing) verdict() string {
	switch s {
	case open:
		return "up"
	case closing:
		return "leaving"
	case failing:
		return "failing"
	}
	return "down"
}
