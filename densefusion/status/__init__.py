"""What `densefusion status` shows: how far each group is (from the brokers), how fast, how old and
why not (from the workers' metrics).

    groups, ends ──┐
                   ├──▶ watch ──▶ snapshot ──▶ screen, or JSON
    scrape ────────┘
"""
