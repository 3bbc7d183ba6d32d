package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
)

func runCommand() *cobra.Command {
	var flags configFlags
	var takeover bool
	c := &cobra.Command{
		Use:   "run [-c FILE|DIR]... [--var NAME=VALUE]... [--takeover]",
		Short: "Serve",
		Long: `Run serves what the configuration describes, in the foreground, until a signal ends it:

  HUP         read the configuration anew and put it in charge, or refuse it as a whole: see "gatehouse reload --help"
  TERM, INT   stop accepting, let open exchanges finish within global.shutdown_grace, let caches write for a few seconds what they have for
              their disks, end; a second one ends at once
  USR1        stop accepting and end when the last exchange ends, however long that takes
  USR2        reopen log files

On a stop, frontends with a grace go on accepting for that long, while their monitor uri already answers 503; shutdown_grace begins
when it is over. Under systemd with Type=notify-reload, gatehouse says when it is ready, reloads and stops; sockets that systemd
has opened serve the binds with their addresses, so that even a restart refuses nobody.

With --takeover it takes the place of the gatehouse that runs already, which may be of another version: it gets that one's open sockets through
the admin socket (admin.socket), checks its servers, begins to serve, and only then tells the other to end as with TERM. Nobody is refused or cut
off in between, for longer than global.shutdown_grace; if anything fails before, the other serves on. Clients resume their TLS sessions with the new
process, but where they show certificates; connections of HTTP/3 end with the old one, which is told of their packets. Caches begin empty.

Exit codes: 0 ended by a signal, or taken over from, 1 failed, 2 usage, 3 invalid configuration, 5 nobody to take over from.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			file, _, err := flags.load(c)
			if err != nil {
				return err
			}
			return serve(c, file, &flags, takeover)
		},
	}
	flags.add(c.Flags())
	c.Flags().BoolVar(&takeover, "takeover", false, "take the place of the gatehouse that is running")
	return c
}

// newLogger makes the log of what an operator wants to know: one line each, on stderr.
func newLogger(c *cobra.Command) *zap.Logger {
	e := zap.NewProductionEncoderConfig()
	e.EncodeTime = zapcore.ISO8601TimeEncoder
	e.EncodeLevel = zapcore.LowercaseLevelEncoder
	e.CallerKey, e.StacktraceKey = zapcore.OmitKey, zapcore.OmitKey
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(e), zapcore.Lock(zapcore.AddSync(c.ErrOrStderr())), zap.InfoLevel))
}

// serve runs a house until a signal ends it.
func serve(c *cobra.Command, file *config.File, flags *configFlags, takeover bool) error {
	tuneMemory()
	tidy, stopTidying := context.WithCancel(context.Background())
	defer stopTidying()
	go tidyMemory(tidy)
	log := newLogger(c)
	defer log.Sync()
	defer zap.RedirectStdLog(log)()                             // libraries write there
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // the house says it, with what to do about it
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE) // or whoever reads the log from stdout could end the process by going away

	loops, stop, err := house.StartLoops(log)
	if err != nil {
		return failed(err)
	}
	defer stop()
	tell := func(state string) {
		if err := notify(state); err != nil {
			log.Warn("systemd not told", zap.String("state", state), zap.Error(err))
		}
	}
	former := &admin.Takeover{}
	if takeover {
		if former, err = takeOver(c, file); err != nil {
			return err
		}
		defer former.Close()
	} else {
		var handed []passed
		if former.Descriptors, handed, err = activated(); err != nil {
			return failed(err)
		}
		for _, name := range unused(handed, file) {
			log.Warn("nobody answers at a socket that systemd has opened: no bind has its address or its name", zap.String("socket", name))
		}
	}
	opened, err := becoming(file, flags.paths, log)
	if err != nil {
		return err
	}
	left := make(chan struct{})
	h, err := house.New(file, house.Options{
		Descriptors: former.Descriptors, Secrets: former.Secrets, Succeeding: takeover, HandedOver: func() { close(left) },
		Loops: loops, Log: log, Version: version(), Configuration: flags.paths, Opened: ready(file, former, opened),
		Load: func() (*config.File, *config.Diagnostics) {
			file, diags, err := flags.read()
			if err != nil {
				panic(err) // the flags were all right when the process started, and so they are
			}
			return file, diags
		},
		Reloading: func() { tell(serviceReloading()) },
		Reloaded: func(was, is *config.File) {
			if err := movePID(was.Global.PIDFile, is.Global.PIDFile); err != nil {
				log.Error("pid file not moved", zap.Error(err))
			}
			if was.Global.User != is.Global.User || was.Global.Group != is.Global.Group {
				log.Warn("user and group count from the next start on: a process changes them once", zap.String("user", is.Global.User), zap.String("group", is.Global.Group))
			}
			tell(serviceReady)
		},
	})
	if err != nil {
		return failed(err)
	}
	if os.Getenv("GOGC") == "" {
		go paceMemory(tidy, h.CacheBytes)
	}
	if err := h.Start(); err != nil {
		return failed(err)
	}
	if takeover {
		succeed(h, former, log)
	}
	defer func() { removePID(h.Configuration().Global.PIDFile) }()
	log.Info("serving", zap.Strings("configuration", flags.paths), zap.Stringers("addresses", h.Addresses()))
	tell(serviceReady)
	for {
		var s os.Signal
		select {
		case s = <-signals:
		case <-left: // systemd is not told that this is the end: it is not, for the service
			return failed(drain(h, log, h.Configuration().Global.ShutdownGrace, signals))
		}
		switch s {
		case syscall.SIGUSR2:
			h.ReopenLogs()
		case syscall.SIGHUP:
			go h.Reload() // which says itself what became of it; others that come meanwhile wait for their turn together
		case syscall.SIGUSR1:
			tell(serviceStopping)
			return failed(drain(h, log, 0, signals))
		default:
			limit := h.Configuration().Global.ShutdownGrace
			if limit > 0 {
				limit += h.Grace()
			}
			tell(serviceStopping)
			return failed(drain(h, log, limit, signals))
		}
	}
}

// ready returns what is done when every address is open: the pid file is written while there are still rights to do so, and then they
// are given up, if so configured.
func ready(file *config.File, former *admin.Takeover, give func() error) func() error {
	return func() error {
		if pid := file.Global.PIDFile; pid != "" {
			if err := writePID(pid, former.PID); err != nil {
				return err
			}
		}
		if give == nil {
			return nil
		}
		err := give()
		if err != nil {
			removePID(file.Global.PIDFile)
		}
		return err
	}
}

// takeOver asks the running gatehouse for its sockets.
func takeOver(c *cobra.Command, file *config.File) (*admin.Takeover, error) {
	if file.Admin == nil || file.Admin.Socket == "" {
		return nil, &failure{exitAbsent, errors.New("takeover: the configuration has no admin socket, by which the running gatehouse could be asked")}
	}
	former, err := admin.TakeOver(c.Context(), file.Admin.Socket)
	if err != nil {
		return nil, asked(err)
	}
	return former, nil
}

// succeed tells the gatehouse that ran until now to leave. This one serves already, and goes on whatever becomes of that.
func succeed(h *house.House, former *admin.Takeover, log *zap.Logger) {
	if err := former.Done(); err != nil {
		log.Error("the gatehouse before may still be running", zap.Error(err))
	}
	if err := h.Succeed(); err != nil {
		log.Error("without an admin socket from now on", zap.Error(err))
	}
	log.Info("taken over", zap.Int("from", former.PID))
}

// drain ends the house gracefully, at once when a second signal comes. limit 0 or less: none.
func drain(h *house.House, log *zap.Logger, limit time.Duration, signals <-chan os.Signal) error {
	log.Info("stopping", zap.Int("connections", h.Connections()), zap.Duration("within", limit))
	ctx, cancel := context.WithCancel(context.Background())
	if limit > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), limit)
	}
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(ctx) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				log.Warn("stopped before the last exchange had ended", zap.Error(err))
			} else {
				log.Info("stopped")
			}
			return nil
		case s := <-signals:
			switch s {
			case syscall.SIGTERM, os.Interrupt:
				h.Hurry()
				cancel()
			case syscall.SIGUSR2:
				h.ReopenLogs()
			case syscall.SIGHUP:
				log.Warn("no reload any more: gatehouse is stopping")
			}
		}
	}
}
