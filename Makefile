# Each target is one command; machines without make run that command. PYTHON names an interpreter, 3.11 or newer.
PYTHON ?= python3
BOOTSTRAP = $(PYTHON) workers/supervisor/bootstrap.py

.PHONY: up test drill lint lock bench reset
up:     ; @$(BOOTSTRAP) up
test:   ; @$(BOOTSTRAP) test -- $(ARGS)
drill:  ; @$(BOOTSTRAP) drill
lint:   ; @$(BOOTSTRAP) lint
lock:   ; @$(BOOTSTRAP) lock
bench:  ; @$(BOOTSTRAP) bench $(NAME)
reset:  ; @$(BOOTSTRAP) reset
