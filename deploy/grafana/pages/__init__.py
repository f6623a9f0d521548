"""A module for each dashboard."""

from deploy.grafana.pages.captions import CAPTIONS
from deploy.grafana.pages.fetch import FETCH
from deploy.grafana.pages.kafka import KAFKA
from deploy.grafana.pages.overview import OVERVIEW
from deploy.grafana.pages.stage import STAGE

PAGES = (OVERVIEW, STAGE, FETCH, CAPTIONS, KAFKA)
