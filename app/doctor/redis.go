package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"crier/app"
	"crier/configs"
)

// redis tells whether the servers that share a Redis can, and what it may lose.
func redis(ctx context.Context, cfg *configs.Config) []Finding {
	const setting = "cluster.redis"
	if cfg.Cluster.Redis == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	advice, err := app.ExamineRedis(ctx, cfg.Cluster)
	if err != nil {
		return []Finding{{Wrong, setting, strings.ReplaceAll(err.Error(), "\n", "; ")}}
	}
	all := []Finding{{Fine, setting, "Redis can be reached"}}
	for _, a := range advice {
		f := Finding{Warning, setting, a.Text}
		if a.Level < slog.LevelWarn {
			f.Grade = Fine
		}
		for i := 0; i+1 < len(a.Attrs); i += 2 {
			f.Text += fmt.Sprintf(" (%v %v)", a.Attrs[i], a.Attrs[i+1])
		}
		all = append(all, f)
	}
	return all
}
