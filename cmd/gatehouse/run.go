package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
)

func runCommand() *cobra.Command {
	var flags configFlags
	c := &cobra.Command{
		Use:   "run [-c FILE|DIR]... [--var NAME=VALUE]...",
		Short: "Serve",
		Long: `Run serves what the configuration describes, in the foreground, until a signal ends it:

  HUP         read the configuration anew and put it in charge, or refuse it as a whole: see "gatehouse reload --help"
  TERM, INT   stop accepting, let open exchanges finish within global.shutdown_grace, end; a second one ends at once
  USR1        stop accepting and end when the last exchange ends, however long that takes
  USR2        reopen log files

On a stop, frontends with a grace go on accepting for that long, while their monitor uri already answers 503; shutdown_grace begins
when it is over. Under systemd with Type=notify-reload, gatehouse says when it is ready, reloads and stops.

Exit codes: 0 ended by a signal, 1 failed, 2 usage, 3 invalid configuration.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			file, _, err := flags.load(c)
			if err != nil {
				return err
			}
			return serve(c, file, &flags)
		},
	}
	flags.add(c.Flags())
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
func serve(c *cobra.Command, file *config.File, flags *configFlags) error {
	tuneMemory()
	tidy, stopTidying := context.WithCancel(context.Background())
	defer stopTidying()
	go tidyMemory(tidy)
	log := newLogger(c)
	defer log.Sync()
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
	h, err := house.New(file, house.Options{
		Loops: loops, Log: log, Version: version(), Configuration: flags.paths,
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
			tell(serviceReady)
		},
	})
	if err != nil {
		return failed(err)
	}
	if err := h.Start(); err != nil {
		return failed(err)
	}
	if pid := file.Global.PIDFile; pid != "" {
		if err := writePID(pid); err != nil {
			h.Shutdown(canceled())
			return failed(err)
		}
	}
	defer func() { removePID(h.Configuration().Global.PIDFile) }()
	log.Info("serving", zap.Strings("configuration", flags.paths), zap.Stringers("addresses", h.Addresses()))
	tell(serviceReady)
	for s := range signals {
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
	return nil
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
				cancel()
			case syscall.SIGUSR2:
				h.ReopenLogs()
			case syscall.SIGHUP:
				log.Warn("no reload any more: gatehouse is stopping")
			}
		}
	}
}

// canceled returns a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
