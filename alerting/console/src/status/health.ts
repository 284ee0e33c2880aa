/** Reads what matters first from the server's status, whose parts differ with how it was started. */
import type { FieldValue, SystemStatus } from '../api/types';

export type Mapping = { [name: string]: FieldValue };

export function mapping(value: FieldValue | undefined): Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : {};
}

function mappings(value: FieldValue | undefined): Mapping[] {
  return Array.isArray(value) ? value.map(mapping) : [];
}

export function number(value: FieldValue | undefined): number {
  return typeof value === 'number' ? value : 0;
}

export function text(value: FieldValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

export interface Stage {
  name: string;
  state: string;
  /** In English, from a server that tells no code. */
  detail: string;
  /** A code with its parameters. */
  said: Mapping;
  retries: number;
}

export interface Figure {
  name: 'records_in' | 'events_stored' | 'matches' | 'matches_alerted';
  perSecond: number;
  total: number;
}

export interface Queue {
  name: string;
  waiting: number;
  capacity: number;
}

/** What should be zero. */
export interface Trouble {
  name:
    | 'agents_silent'
    | 'dead_letters'
    | 'events_with_problems'
    | 'dropped'
    | 'unreadable'
    | 'records_beyond_quota'
    | 'retries';
  count: number;
}

export interface Source {
  path: string;
  state: string;
  lagBytes: number;
  error: string;
}

export interface AgentSeen {
  agent: string;
  unit: string;
  host: string;
  version: string;
  silent: boolean;
  /** Of one that was not, nothing is known but when it was heard last. */
  heardSinceStart: boolean;
  heardSecondsAgo: number;
  lagBytes: number;
  dropped: number;
  clockOffsetMs: number | null;
  certificateUntil: string;
}

export interface Health {
  ready: boolean;
  version: string;
  uptimeSeconds: number;
  stages: Stage[];
  figures: Figure[];
  queues: Queue[];
  troubles: Trouble[];
  sources: Source[];
  agents: AgentSeen[];
  disk: { usedPercent: number; freeBytes: number; paused: boolean } | null;
  rules: { loaded: number; refused: number; errors: string[] } | null;
}

const FIGURES = ['records_in', 'events_stored', 'matches', 'matches_alerted'] as const;

export function healthOf(status: SystemStatus): Health {
  const totals = mapping(status.totals);
  const rates = mapping(status.rates_per_s);
  const details = mapping(status.details);
  const agent = mapping(details.agent);
  const spools = [mapping(mapping(agent.sink).spool), mapping(mapping(details.transport).spool)];
  const agents = mappings(mapping(details.agents).agents).map(agentOf);
  const room = mapping(details.room);
  const rules = mapping(details.rules);
  return {
    ready: status.ready === true,
    version: text(status.version),
    uptimeSeconds: number(status.uptime_s),
    stages: Object.entries(mapping(status.parts)).map(([name, part]) => ({
      name,
      state: text(mapping(part).state),
      detail: text(mapping(part).detail),
      said: mapping(mapping(part).said),
      retries: number(mapping(part).retries),
    })),
    figures: FIGURES.filter((name) => name in totals).map((name) => ({
      name,
      perSecond: number(rates[name]),
      total: number(totals[name]),
    })),
    queues: mappings(details.queues).map((queue) => ({
      name: text(queue.name),
      waiting: number(queue.waiting),
      capacity: number(queue.capacity),
    })),
    troubles: [
      { name: 'agents_silent', count: agents.filter(({ silent }) => silent).length },
      { name: 'dead_letters', count: number(totals.dead_letters) },
      { name: 'events_with_problems', count: number(totals.events_with_problems) },
      {
        name: 'dropped',
        count:
          Math.max(...spools.map((spool) => number(spool.dropped_records))) +
          agents.reduce((sum, { dropped }) => sum + dropped, 0),
      },
      { name: 'unreadable', count: number(agent.unreadable) },
      { name: 'records_beyond_quota', count: number(totals.records_beyond_quota) },
      { name: 'retries', count: number(totals.retries) },
    ],
    sources: mappings(agent.sources).map((source) => ({
      path: text(source.path) || text(source.stream),
      state: text(source.state),
      lagBytes: number(source.lag_bytes),
      error: text(source.last_error),
    })),
    agents,
    disk:
      'used_percent' in room
        ? {
            usedPercent: number(room.used_percent),
            freeBytes: number(room.disk_free_bytes),
            paused: room.is_paused === true,
          }
        : null,
    rules:
      'loaded' in rules
        ? {
            loaded: number(rules.loaded),
            refused: number(rules.refused),
            errors: Array.isArray(rules.errors)
              ? rules.errors.map((each) => (typeof each === 'string' ? each : JSON.stringify(each)))
              : [],
          }
        : null,
  };
}

function agentOf(agent: Mapping): AgentSeen {
  const offset = agent.clock_offset_us ?? agent.clock_seen_offset_us;
  return {
    agent: text(agent.agent),
    unit: text(agent.unit),
    host: text(agent.host),
    version: text(agent.version),
    silent: agent.silent === true,
    heardSinceStart: agent.heard_since_start !== false,
    heardSecondsAgo: number(agent.heard_s_ago),
    lagBytes: number(agent.lag_bytes),
    dropped: number(agent.dropped),
    clockOffsetMs: typeof offset === 'number' ? Math.round(offset / 1000) : null,
    certificateUntil:
      typeof agent.certificate_until === 'number'
        ? new Date(agent.certificate_until * 1000).toISOString()
        : '',
  };
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `1.5 MB` */
export function bytesText(bytes: number, language: string): string {
  const step = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  const digits = value < 10 && step > 0 ? 1 : 0;
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value)} ${UNITS[step]}`;
}
