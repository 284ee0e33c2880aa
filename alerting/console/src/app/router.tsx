/** Every state that matters has an address here; each page reads its own part of it. */
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { type IncidentFilter, incidentFilter, QUEUE } from '../api/incidentFilter';
import { type AuditFilter, SUPPRESSION_FILTERS, type SuppressionFilter } from '../api/queries';
import { lazily } from './lazily';
import { NotFound } from './NotFound';
import { Failed, Loading } from './parts';
import { Shell } from './Shell';

/** Addresses hold plain text (`?q=123`), never JSON. */
function parseSearch(text: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(text));
}

function stringifySearch(search: Record<string, unknown>): string {
  const set = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    if (value !== undefined && value !== null && value !== '') set.set(name, String(value));
  }
  const text = set.toString();
  return text ? `?${text}` : '';
}

function text(search: Record<string, unknown>, name: string): string | undefined {
  const value = search[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Drops what is not set, so that addresses stay short. */
function given<T extends object>(search: T): Partial<{ [K in keyof T]: Exclude<T[K], undefined> }> {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as never;
}

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const homeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/incidents', search: QUEUE, replace: true });
  },
});

export interface IncidentsSearch extends IncidentFilter {
  /** The incident that the keyboard stands on. */
  at?: string;
  /** The incident beside the table. */
  panel?: string;
  /** The incident whose like is about to be suppressed. */
  suppress?: string;
}

export const incidentsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/incidents',
  validateSearch: (search): IncidentsSearch => ({
    ...incidentFilter(search),
    ...given({ at: text(search, 'at'), panel: text(search, 'panel'), suppress: text(search, 'suppress') }),
  }),
  component: lazyRouteComponent(() => lazily(() => import('../incidents/IncidentsPage')), 'IncidentsPage'),
});

export interface IncidentSearch {
  /** The event that is open. */
  event?: string;
  /** The alert whose like is about to be suppressed. */
  suppress?: string;
}

export const incidentRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/incidents/$id',
  validateSearch: (search): IncidentSearch =>
    given({ event: text(search, 'event'), suppress: text(search, 'suppress') }),
  component: lazyRouteComponent(() => lazily(() => import('../incidents/IncidentPage')), 'IncidentPage'),
});

export interface EventsSearch {
  q?: string;
  /** `15m`, `1h`, ...; without it `from` and `to` hold. */
  range?: string;
  from?: string;
  to?: string;
  /** The event in the panel. */
  event?: string;
  /** The field whose values are shown. */
  field?: string;
}

export const searchRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/search',
  validateSearch: (search): EventsSearch =>
    given({
      q: text(search, 'q'),
      range: text(search, 'range'),
      from: text(search, 'from'),
      to: text(search, 'to'),
      event: text(search, 'event'),
      field: text(search, 'field'),
    }),
  component: lazyRouteComponent(() => lazily(() => import('../search/SearchPage')), 'SearchPage'),
});

export const statusRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/status',
  component: lazyRouteComponent(() => lazily(() => import('../status/StatusPage')), 'StatusPage'),
});

/** Orders of the list of rules. */
export const RULE_ORDERS = ['incidents', 'false', 'hidden', 'cost', 'last'] as const;
export type RuleOrder = (typeof RULE_ORDERS)[number];

export interface RulesSearch {
  order?: RuleOrder;
  /** Part of a title or an id. */
  q?: string;
  /** The rule whose text is shown. */
  open?: string;
}

export const rulesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/rules',
  validateSearch: (search): RulesSearch => {
    const order = RULE_ORDERS.find((each) => each === search.order && each !== 'incidents');
    return given({ order, q: text(search, 'q'), open: text(search, 'open') });
  },
  component: lazyRouteComponent(() => lazily(() => import('../rules/RulesPage')), 'RulesPage'),
});

export const ruleRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/rules/$id',
  component: lazyRouteComponent(() => lazily(() => import('../rules/RulePage')), 'RulePage'),
});

export interface EntitySearch {
  /** `host`, `user`, `address`, `file` or `hash`. */
  kind: string;
  value: string;
}

export const entityRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/entity',
  validateSearch: (search): EntitySearch => ({
    kind: text(search, 'kind') ?? '',
    value: text(search, 'value') ?? '',
  }),
  component: lazyRouteComponent(() => lazily(() => import('../entity/EntityPage')), 'EntityPage'),
});

const administrationRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/administration',
  beforeLoad: () => {
    throw redirect({ to: '/administration/suppressions', replace: true });
  },
});

export interface SuppressionsSearch {
  state?: SuppressionFilter;
  /** The suppression whose hidden matches are shown. */
  open?: string;
}

export const suppressionsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/administration/suppressions',
  validateSearch: (search): SuppressionsSearch => {
    const state = SUPPRESSION_FILTERS.find((each) => each === search.state && each !== 'active');
    return given({ state, open: text(search, 'open') });
  },
  component: lazyRouteComponent(
    () => lazily(() => import('../suppressions/SuppressionsPage')),
    'SuppressionsPage',
  ),
});

export interface NotificationsSearch {
  /** The route in the form; `email` or `webhook` for a new one. */
  edit?: string;
}

export const notificationsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/administration/notifications',
  validateSearch: (search): NotificationsSearch => given({ edit: text(search, 'edit') }),
  component: lazyRouteComponent(
    () => lazily(() => import('../notifications/NotificationsPage')),
    'NotificationsPage',
  ),
});

export const unitsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/units',
  validateSearch: (search): UnitsSearch =>
    given({
      q: text(search, 'q'),
      open: text(search, 'open'),
      show: UNIT_STANDINGS.find((each) => each === search.show),
      change: UNIT_CHANGES.find((each) => each === search.change),
    }),
  component: lazyRouteComponent(() => lazily(() => import('../units/UnitsPage')), 'UnitsPage'),
});

export interface AttackSearch {
  /** Alerts of so many days. */
  days?: number;
  /** The technique beside the matrix. */
  open?: string;
}

export const attackRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/attack',
  validateSearch: (search): AttackSearch => {
    const days = Number(search.days);
    return given({
      days: Number.isInteger(days) && days >= 1 && days <= 366 ? days : undefined,
      open: text(search, 'open'),
    });
  },
  component: lazyRouteComponent(() => lazily(() => import('../attack/AttackPage')), 'AttackPage'),
});

/** A list in which one looks for words. */
export interface FindSearch {
  q?: string;
}

/** Which units a tree may be narrowed to. */
export const UNIT_STANDINGS = ['incidents', 'silent'] as const;
export const UNIT_CHANGES = ['edit', 'merge'] as const;

export interface UnitsSearch extends FindSearch {
  /** The unit beside the tree. */
  open?: string;
  show?: (typeof UNIT_STANDINGS)[number];
  /** The form in which the open unit is changed. */
  change?: (typeof UNIT_CHANGES)[number];
}

export interface PeopleSearch extends FindSearch {
  /** The person in the form, by id; `new` for a new one. */
  edit?: string;
}

export const peopleRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/administration/people',
  validateSearch: (search): PeopleSearch => given({ q: text(search, 'q'), edit: text(search, 'edit') }),
  component: lazyRouteComponent(() => lazily(() => import('../people/PeoplePage')), 'PeoplePage'),
});

export const tokensRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/administration/tokens',
  validateSearch: (search): PeopleSearch => given({ edit: text(search, 'edit') }),
  component: lazyRouteComponent(() => lazily(() => import('../tokens/TokensPage')), 'TokensPage'),
});

export const auditRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/administration/audit',
  validateSearch: (search): AuditFilter =>
    given({
      who: text(search, 'who'),
      action: text(search, 'action'),
      subject: text(search, 'subject'),
      from: text(search, 'from'),
      to: text(search, 'to'),
    }),
  component: lazyRouteComponent(() => lazily(() => import('../audit/AuditPage')), 'AuditPage'),
});

const routeTree = rootRoute.addChildren([
  homeRoute,
  incidentsRoute,
  incidentRoute,
  searchRoute,
  statusRoute,
  rulesRoute,
  administrationRoute,
  suppressionsRoute,
  notificationsRoute,
  ruleRoute,
  entityRoute,
  unitsRoute,
  attackRoute,
  peopleRoute,
  tokensRoute,
  auditRoute,
]);

export function createConsoleRouter() {
  return createRouter({
    routeTree,
    parseSearch,
    stringifySearch,
    defaultPreload: 'intent',
    scrollRestoration: true,
    defaultPendingComponent: Loading,
    defaultErrorComponent: ({ error, reset }) => <Failed error={error} retry={reset} />,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
