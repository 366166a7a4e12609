from infra_local.cli import main

raise SystemExit(main())
